/* Sound: plays a whole clip, or just the stretch of the chosen piece, at once and without asking the server. */
(() => {
  const t = window.tokenscope;

  t.kinds.player = ({ element, props, watch }) => {
    const root = element.querySelector(".ts-root");
    const sound = t.make("audio", { controls: "", preload: "auto", "aria-label": props.label });
    const say = t.make("span", { class: "ts-quiet", role: "status" });
    const spans = () => (props.value && props.value.spans) || {};
    let stop = 0, turn = 0, audio = null, decoded = null, node = null;

    /* A timer stops a syllable late when the page is busy: short clips are decoded and played by the sample. */
    const LONGEST = 180; // seconds held decoded
    async function decode(url) {
      decoded = null;
      if (!url || !window.AudioContext || !(sound.duration <= LONGEST)) return;
      audio = audio || new AudioContext();
      try {
        const samples = await audio.decodeAudioData(await (await fetch(url)).arrayBuffer());
        if (sound.getAttribute("src") === url) decoded = samples;
      } catch {
        decoded = null; // a format that only the player reads: the timer will do
      }
    }
    sound.addEventListener("loadedmetadata", () => decode(sound.getAttribute("src")));

    function silence() {
      clearTimeout(stop);
      sound.pause();
      if (node) node.stop();
      node = null;
    }

    const bySample = (from, to) => new Promise((done) => {
      sound.currentTime = from;
      audio.resume();
      node = audio.createBufferSource();
      node.buffer = decoded;
      node.connect(audio.destination);
      node.onended = done;
      node.start(0, from, to - from);
    });

    const byTimer = (from, to) => new Promise((done) => {
      sound.currentTime = from;
      sound.play().then(() => {
        stop = setTimeout(() => { sound.pause(); done(); }, Math.max(30, 1000 * (to - from)));
      }, () => { say.textContent = "The browser waits for a click before it plays sound."; done(); });
    });

    const play = (from, to) => {
      silence();
      return (decoded ? bySample : byTimer)(from, to);
    };

    async function playPieces(ids) {
      const mine = ++turn;
      for (const id of ids) {
        const span = spans()[id];
        if (!span || mine !== turn) continue;
        say.textContent = `${span[0].toFixed(2)}–${span[1].toFixed(2)} s`;
        await play(Math.max(0, span[0] - pad()), span[1] + pad());
        await new Promise((resume) => setTimeout(resume, 150));
      }
    }

    const context = t.make("input", { type: "checkbox", id: `${props.id}-context` });
    const pad = () => (context.checked ? 0.1 : 0);
    const chosen = t.make("button", { type: "button", class: "ts-small", text: "Play selection",
      onclick: () => playPieces(Object.keys(spans()).filter((id) => t.group(props.group).ids.has(id))) });
    const apart = t.make("button", { type: "button", class: "ts-small", text: "Play segments apart",
      onclick: () => playPieces(Object.keys(spans()).filter((id) => id.startsWith("0:"))) });
    const halt = t.make("button", { type: "button", class: "ts-small", text: "Stop",
      onclick: () => { turn++; silence(); } });
    root.append(sound, t.make("div", { class: "ts-bar" }, chosen, apart, halt,
      t.make("label", { class: "ts-quiet" }, context, " with 0.1 s around"), say));

    const load = () => {
      turn++;
      silence();
      const url = (props.value && props.value.url) || "";
      if (sound.getAttribute("src") !== url) url ? sound.setAttribute("src", url) : sound.removeAttribute("src");
    };
    t.join(props.group, element, (ids) => ids.size === 1 && playPieces([...ids]));
    watch("value", load);
    load();
  };
})();
