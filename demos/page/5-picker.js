/* The methods strip: a drop-down a slot, its knobs drawn from the family's fields; the value is plain data. */
(() => {
  const t = window.tokenscope;
  const HUES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];

  t.kinds.picker = ({ element, trigger, props, watch }) => {
    const root = element.querySelector(".ts-root");
    const schema = new Map(props.schema.map((method) => [method.name, method]));
    let value = props.value || []; // what is drawn; the component's own value follows when a turn has come to rest
    const slots = () => value;

    const commit = () => {
      if (JSON.stringify(value) === JSON.stringify(props.value)) return;
      props.value = structuredClone(value);
      trigger("input");
    };
    const later = t.debounce(80, commit);
    const send = (next) => {
      value = next;
      commit();
    };
    const with_ = (slot, entry) => slots().map((old, i) => (i === slot ? entry : old));
    const fresh = (name) => ({ method: name,
      knobs: Object.fromEntries(schema.get(name).knobs.map((knob) => [knob.name, knob.default])) });

    function turn(slot, knob, wanted, hold) {
      const entry = structuredClone(slots()[slot]);
      entry.knobs[knob.name] = wanted;
      value = with_(slot, entry);
      hold ? later() : commit();
    }

    function control(slot, knob, value) {
      const id = `${props.id}-${slot}-${knob.name}`;
      const label = t.make("label", { for: id, title: knob.help, text: knob.label });
      if (knob.options.length) {
        const choice = t.make("select", { id, onchange: (e) => turn(slot, knob, e.target.value, false) },
          ...knob.options.map((option) => t.make("option", { value: option, text: option,
            selected: option === value })));
        return t.make("div", { class: "ts-knob" }, label, choice);
      }
      if (typeof knob.default === "boolean") {
        const box = t.make("input", { id, type: "checkbox", onchange: (e) => turn(slot, knob, e.target.checked, false) });
        box.checked = value;
        return t.make("div", { class: "ts-knob ts-switch" }, box, label);
      }
      const range = { min: knob.low, max: knob.high, step: knob.step };
      const slider = t.make("input", { id, type: "range", ...range });
      const number = t.make("input", { type: "number", ...range, "aria-label": `${knob.label}, as a number` });
      const put = (shown) => { slider.value = number.value = shown; };
      put(value);
      const set = (text, hold) => {
        const given = Number(text);
        if (text === "" || !Number.isFinite(given)) return put(slots()[slot].knobs[knob.name] ?? knob.default);
        const stepped = knob.low + Math.round((given - knob.low) / knob.step) * knob.step;
        const wanted = Number(Math.min(knob.high, Math.max(knob.low, stepped)).toFixed(6));
        put(wanted);
        turn(slot, knob, wanted, hold);
      };
      slider.addEventListener(knob.live ? "input" : "change", () => set(slider.value, true));
      slider.addEventListener("input", () => { number.value = slider.value; });
      number.addEventListener("change", () => set(number.value, false));
      return t.make("div", { class: "ts-knob" }, label, slider, number);
    }

    const open = new Set();

    function slot(entry, i) {
      const method = schema.get(entry.method);
      const letter = String.fromCharCode(65 + i);
      const menu = t.make("select", { "aria-label": `Method ${letter}`, "data-slot": i,
        onchange: (e) => { send(with_(i, fresh(e.target.value))); draw(); } },
        ...props.schema.map((one) => t.make("option", { value: one.name, text: one.title,
          selected: one.name === entry.method })));
      const knobs = t.make("details", { class: "ts-knobs", ontoggle: (e) => e.target.open ? open.add(i) : open.delete(i) },
        t.make("summary", { text: method.knobs.length === 1 ? "1 knob" : `${method.knobs.length} knobs` }),
        ...method.knobs.map((knob) => control(i, knob, entry.knobs[knob.name] ?? knob.default)));
      knobs.open = open.has(i);
      const dot = t.make("span", { class: "ts-dot", "aria-hidden": "true" });
      dot.style.background = HUES[i % HUES.length];
      const drop = t.make("button", { type: "button", class: "ts-small", "aria-label": `Remove method ${letter}`, text: "×",
        onclick: () => { open.delete(i); send(slots().filter((_, j) => j !== i)); draw(); } });
      return t.make("div", { class: "ts-slot" }, t.make("div", { class: "ts-slot-head" }, dot, menu,
        ...(slots().length > 1 ? [drop] : [])), ...(method.knobs.length ? [knobs] : []));
    }

    function draw() {
      const taken = new Set(slots().map((entry) => entry.method));
      const add = t.make("button", { type: "button", class: "ts-small ts-add", text: "+ compare", "aria-label": "Add a method",
        onclick: () => {
          const next = props.schema.find((one) => !taken.has(one.name)) || props.schema[0];
          send([...slots(), fresh(next.name)]);
          draw();
        } });
      root.replaceChildren(...slots().map(slot), ...(slots().length < props.most ? [add] : []));
    }

    watch("value", () => {
      if (JSON.stringify(props.value) === JSON.stringify(value)) return;
      value = props.value || [];
      draw();
    });
    draw();
  };
})();
