/* The embedding map: PCA at once, UMAP when the server has it, lasso and click, a table twin, and an export. */
(() => {
  const t = window.tokenscope;
  const HUES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];

  function traces(value, points) {
    return value.names.map((name, slot) => {
      const members = value.ids.flatMap((_, i) => (value.series[i] === slot ? [i] : []));
      return {
        type: value.ids.length > 1500 ? "scattergl" : "scatter", mode: "markers", name,
        x: members.map((i) => points[i][0]), y: members.map((i) => points[i][1]),
        customdata: members.map((i) => value.ids[i]), text: members.map((i) => value.hover[i]),
        hovertemplate: "%{text}<extra></extra>",
        marker: { size: value.ids.length > 800 ? 5 : 8, color: value.colours[slot] || HUES[slot % HUES.length], symbol: slot % 6,
          line: { width: 0 } },
        selected: { marker: { color: t.theme().accent, size: 11 } }, unselected: { marker: { opacity: 0.18 } },
      };
    });
  }

  t.kinds.map = ({ element, trigger, props, watch, server }) => {
    const root = element.querySelector(".ts-root");
    const holder = t.make("div", { class: "ts-plot", role: "figure" });
    const status = t.make("p", { class: "ts-note", role: "status" });
    const details = t.make("div", { class: "ts-details", "aria-live": "polite" });
    const table = t.make("tbody");
    const filter = t.make("input", { type: "search", placeholder: "Find a piece", "aria-label": "Find a piece",
      oninput: t.debounce(120, () => fillTable()) });
    const buttons = ["PCA", "UMAP"].map((name) => t.make("button", { type: "button", class: "ts-tab", text: name,
      "aria-pressed": String(name === "PCA"), onclick: () => show(name) }));
    const save = t.make("button", { type: "button", class: "ts-small", text: "Save selection (CSV)",
      onclick: () => exportSelection() });
    const clear = t.make("button", { type: "button", class: "ts-small", text: "Clear", onclick: () => choose([]) });
    const twin = t.make("details", { class: "ts-twin", ontoggle: () => fillTable() },
      t.make("summary", { text: "As a table" }), filter,
      t.make("div", { class: "ts-scroll", tabindex: "0", role: "region", "aria-label": "Pieces as a table" },
        t.make("table", {}, t.make("thead", {}, t.make("tr", {}, ...["piece", "method", "x", "y"].map((name) =>
          t.make("th", { scope: "col", text: name })))), table)));
    root.append(t.make("div", { class: "ts-bar" }, t.make("span", { class: "ts-title", text: props.label }), ...buttons),
      holder, status, details, t.make("div", { class: "ts-bar" }, save, clear), twin);

    let view = "PCA", umap = null, wired = false, asked = "";
    const points = () => (view === "UMAP" && umap ? umap : props.value.pca);

    const choose = (ids) => {
      t.select(props.group, ids, element);
      t.afterPaint(trigger, () => trigger("select", { ids }));
    };

    function fillTable() {
      if (!twin.open || !props.value) return;
      const ids = t.group(props.group).ids, word = filter.value.toLowerCase(), xy = points();
      const rows = props.value.ids.flatMap((id, i) =>
        (!ids.size || ids.has(id)) && props.value.labels[i].toLowerCase().includes(word) ? [i] : []).slice(0, 300);
      table.replaceChildren(...rows.map((i) => t.make("tr", {},
        t.make("td", {}, t.make("button", { type: "button", class: "ts-link", text: props.value.labels[i] || "(empty)",
          onclick: () => choose([props.value.ids[i]]) })),
        t.make("td", { text: props.value.names[props.value.series[i]] }),
        t.make("td", { text: xy[i][0].toFixed(2) }), t.make("td", { text: xy[i][1].toFixed(2) }))));
    }

    async function tell(ids) {
      if (ids.size !== 1 || !props.value) return details.replaceChildren();
      const [id] = ids, i = props.value.ids.indexOf(id), key = props.value.key;
      if (i < 0) return details.replaceChildren();
      details.replaceChildren(t.make("strong", { text: props.value.labels[i] || "(empty)" }));
      const near = await server.nearest(key, i).catch(() => []); // the neighbours are an extra: without them the rest stays
      if (props.value.key !== key || !t.group(props.group).ids.has(id) || !near.length) return;
      details.append(t.make("span", { class: "ts-quiet", text: " nearest by cosine: " }),
        ...near.map(([j, cosine]) => t.make("button", { type: "button", class: "ts-small",
          text: `${props.value.labels[j]} ${cosine.toFixed(2)}`, onclick: () => choose([props.value.ids[j]]) })));
    }

    function exportSelection() {
      const ids = t.group(props.group).ids, xy = points();
      const rows = props.value.ids.flatMap((id, i) => (!ids.size || ids.has(id) ? [[id, props.value.labels[i],
        props.value.names[props.value.series[i]], view, xy[i][0], xy[i][1]]] : []));
      t.download("selection.csv", "text/csv", t.csv([["id", "piece", "method", "projection", "x", "y"], ...rows]));
    }

    async function waitForUmap(key) {
      for (let wait = 250; props.value && props.value.key === key && element.isConnected; wait = Math.min(wait * 1.3, 2000)) {
        const answer = await server.umap(key).catch(() => ({ points: null, note: "The server does not answer.", over: true }));
        if (!props.value || props.value.key !== key) return;
        if (answer.points) {
          umap = answer.points;
          status.textContent = `${props.value.note} UMAP: ${answer.note}`;
          return view === "UMAP" ? draw() : undefined;
        }
        status.textContent = `${props.value.note} ${answer.note}`;
        if (answer.over) return;
        await new Promise((resume) => setTimeout(resume, wait));
      }
    }

    function show(name) {
      view = name;
      buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.textContent === name)));
      if (name === "UMAP" && asked !== props.value?.key) {
        asked = props.value.key;
        waitForUmap(asked);
      }
      draw();
    }

    async function draw() {
      const value = props.value;
      if (!value || !value.ids.length) {
        if (wired) Plotly.purge(holder);
        wired = false;
        holder.replaceChildren(t.make("p", { class: "ts-empty", text: props.empty }));
        return;
      }
      if (!wired) holder.replaceChildren();
      const axis = { showticklabels: false, zeroline: false, title: { text: "" } };
      await t.draw(holder, { data: traces(value, points()), layout: { height: props.height, dragmode: "lasso",
        margin: { l: 8, r: 8, t: 8, b: 8 }, showlegend: value.names.length > 1, hovermode: "closest",
        legend: { orientation: "h", y: -0.02, yanchor: "top" }, clickmode: "event", uirevision: value.key + view,
        xaxis: axis, yaxis: { ...axis, scaleanchor: "x" } } });
      holder.setAttribute("aria-label", `${props.label}: ${value.ids.length} points, ${view}`);
      if (!wired) t.listen(holder, choose);
      wired = true;
      t.light(holder, t.group(props.group).ids);
      fillTable();
    }

    function renew() {
      umap = null;
      asked = "";
      status.textContent = props.value ? props.value.note : "";
      details.replaceChildren();
      if (view === "UMAP" && props.value) show("UMAP");
      else draw();
    }

    t.join(props.group, element, (ids) => {
      tell(ids); // the words first: lighting thousands of points takes longer
      if (wired) t.light(holder, ids);
      fillTable();
    });
    t.onTheme(element, draw);
    watch("value", renew);
    renew();
  };
})();
