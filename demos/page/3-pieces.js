/* Chips, lists and tables: elements with data-piece can be clicked or reached with the arrow keys, and light up. */
(() => {
  const t = window.tokenscope;

  t.kinds.pieces = ({ element, trigger, props, watch }) => {
    const root = element.querySelector(".ts-root");
    const all = () => [...root.querySelectorAll("[data-piece]")];

    const light = (ids) => {
      for (const node of all()) {
        const chosen = ids.has(node.dataset.piece);
        node.classList.toggle("is-chosen", chosen);
        node.classList.toggle("is-dimmed", ids.size > 0 && !chosen);
        for (const state of ["aria-pressed", "aria-selected"]) {
          if (node.hasAttribute(state)) node.setAttribute(state, String(chosen));
        }
      }
    };

    const draw = () => {
      root.innerHTML = props.value || "";
      const nodes = all();
      nodes.forEach((node, i) => {
        const listed = node.tagName === "LI"; // a list stays one: a box of options, each list reached by itself
        const first = i === 0 || (listed && nodes[i - 1].parentElement !== node.parentElement);
        node.setAttribute("tabindex", first ? "0" : "-1");
        if (listed) {
          node.parentElement.setAttribute("role", "listbox");
          if (!node.parentElement.hasAttribute("aria-label")) node.parentElement.setAttribute("aria-label", props.label);
          node.setAttribute("role", "option");
          node.setAttribute("aria-selected", "false");
        } else if (!node.hasAttribute("role")) {
          node.setAttribute("role", "button");
          node.setAttribute("aria-pressed", "false");
        }
      });
      light(t.group(props.group).ids);
    };

    const choose = (node) => {
      const now = t.group(props.group).ids;
      const ids = now.size === 1 && now.has(node.dataset.piece) ? [] : [node.dataset.piece];
      t.select(props.group, ids, element);
      t.afterPaint(trigger, () => trigger("select", { ids }));
    };

    root.addEventListener("click", (event) => {
      const node = event.target.closest("[data-piece]");
      if (node && !event.target.closest("a, button:not([data-piece]), summary")) choose(node);
    });
    root.addEventListener("keydown", (event) => {
      const node = event.target.closest("[data-piece]");
      if (!node) return;
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        choose(node);
      } else if (move) {
        event.preventDefault();
        const nodes = all();
        const next = nodes[(nodes.indexOf(node) + move + nodes.length) % nodes.length];
        node.setAttribute("tabindex", "-1");
        next.setAttribute("tabindex", "0");
        next.focus();
      }
    });

    t.join(props.group, element, (ids, mine) => {
      light(ids);
      const shown = root.querySelector(".is-chosen");
      if (shown && !mine) shown.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
    watch("value", draw);
    draw();
  };
})();
