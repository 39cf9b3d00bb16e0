/* What a lab shows: figures, tables, token strips and sounds, one under another. */
(() => {
  const t = window.tokenscope;

  t.kinds.panels = ({ element, props, watch }) => {
    const root = element.querySelector(".ts-root");
    const draw = async () => {
      root.replaceChildren();
      for (const panel of props.value || []) {
        const holder = t.make("div", { class: "ts-panel" });
        root.append(holder);
        if (panel.figure) {
          const plot = t.make("div", { class: "ts-plot", role: "figure", "aria-label": panel.title });
          holder.append(plot);
          await t.draw(plot, panel.figure);
        } else if (panel.url) {
          holder.append(t.make("h4", { text: panel.title }),
            t.make("audio", { controls: "", src: panel.url, "aria-label": panel.title }));
        } else {
          holder.append(t.make("h4", { text: panel.title }));
          const body = t.make("div", { class: "ts-scroll", tabindex: "0", role: "region", "aria-label": panel.title });
          body.innerHTML = panel.html; // built and escaped by the server
          holder.append(body);
        }
      }
    };
    t.onTheme(element, draw);
    watch("value", draw);
    draw();
  };
})();

/* The header's line while models are being loaded: the first run waits for them, and people should know why. */
(() => {
  const t = window.tokenscope;
  const WORDS = { "warming up": "Models are being loaded; a first run waits for them.",
    failed: "A model could not be loaded; the server's log says why. What does not need it works." };

  t.kinds.warmup = async ({ element }) => {
    const line = t.make("p", { class: "ts-note ts-warmup", role: "status" });
    element.querySelector(".ts-root").append(line);
    while (element.isConnected) {
      const said = await fetch("healthz").then((answer) => answer.json(), () => ({})).catch(() => ({}));
      line.textContent = WORDS[said.models] || "";
      if (said.models !== "warming up") return;
      await new Promise((resume) => setTimeout(resume, 2000));
    }
  };
})();
