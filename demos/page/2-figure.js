/* A plotly figure that takes the page's ink, links its pieces and redraws in the other theme. */
(() => {
  const t = window.tokenscope;

  const axes = (layout) => Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));

  /* Lay the theme over a figure's layout without changing the figure itself. */
  t.themed = (layout) => {
    const colours = t.theme();
    const out = structuredClone(layout || {});
    out.font = { family: colours.family, size: 12, ...(out.font || {}), color: colours.ink };
    out.paper_bgcolor = out.plot_bgcolor = "rgba(0,0,0,0)";
    out.hoverlabel = { bgcolor: colours.ground, bordercolor: colours.line, font: { color: colours.ink } };
    out.modebar = { bgcolor: "rgba(0,0,0,0)", color: colours.quiet, activecolor: colours.accent };
    out.legend = { bgcolor: "rgba(0,0,0,0)", ...(out.legend || {}) };
    for (const key of new Set(["xaxis", "yaxis", ...axes(out)])) {
      const grid = colours.line;
      out[key] = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, tickcolor: grid, automargin: true,
        ...(out[key] || {}) };
    }
    return out;
  };

  t.config = {
    displaylogo: false, responsive: true, scrollZoom: false,
    modeBarButtonsToRemove: ["sendDataToCloud", "sendChartToCloud", "autoScale2d", "toggleSpikelines"],
    toImageButtonOptions: { format: "svg", filename: "tokenscope" },
  };

  const first = (value) => (Array.isArray(value) ? first(value[0]) : value);

  /* Rectangles around the chosen cells of heat maps, which know no selected points. */
  function cells(data, ids, colour) {
    const shapes = [];
    for (const trace of data) {
      if (trace.type !== "heatmap" || !Array.isArray(trace.customdata)) continue;
      trace.customdata.forEach((row, i) => row.forEach((id, j) => {
        if (!ids.has(String(first(id)))) return;
        const x = trace.x ? trace.x[j] : (trace.x0 || 0) + j * (trace.dx || 1);
        const y = trace.y ? trace.y[i] : (trace.y0 || 0) + i * (trace.dy || 1);
        const w = (trace.x ? step(trace.x) : trace.dx || 1) / 2;
        const h = (trace.y ? step(trace.y) : trace.dy || 1) / 2;
        if (typeof x === "number" && typeof y === "number") {
          shapes.push({ type: "rect", x0: x - w, x1: x + w, y0: y - h, y1: y + h, name: "chosen",
            xref: trace.xaxis || "x", yref: trace.yaxis || "y", line: { color: colour, width: 2 } });
        }
      }));
    }
    return shapes.slice(0, 400);
  }
  const step = (values) => (values.length > 1 ? Math.abs(values[1] - values[0]) : 1);

  /* Plotly reads a few HTML tags in every text; texts hold what users gave, so they are escaped here, for all figures.
     A line break (\n or <br>) stays one. Templates (hovertemplate, texttemplate) are ours and stay as they are. */
  const TEXTS = new Set(["text", "hovertext", "name", "title", "ticktext", "labels", "categoryarray", "x", "y",
    "legendgroup"]);
  const escaped = (text) =>
    text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\n|&lt;br ?\/?&gt;/g, "<br>");
  const plainText = (value) => {
    if (typeof value === "string") return escaped(value);
    if (!Array.isArray(value) || typeof value.flat(3)[0] === "number") return safe(value);
    return value.map(plainText);
  };
  function safe(node) {
    if (Array.isArray(node)) return node.length && typeof node[0] === "object" ? node.map(safe) : node;
    if (node === null || typeof node !== "object" || ArrayBuffer.isView(node)) return node;
    return Object.fromEntries(Object.entries(node).map(([key, value]) =>
      [key, TEXTS.has(key) ? plainText(value) : key === "customdata" || key === "z" ? value : safe(value)]));
  }

  t.draw = async (holder, figure) => {
    const layout = safe(t.themed(figure.layout));
    if (layout.height) holder.style.height = layout.height + "px";
    await Plotly.react(holder, figure.data.map(safe), layout, t.config);
    if (!holder.tsWatched) {
      // a fold or a tab that was closed while it was drawn gives the plot its true width only when it opens
      holder.tsWatched = new ResizeObserver(t.debounce(60, () => {
        const drawn = holder._fullLayout && holder._fullLayout.width;
        if (drawn && holder.clientWidth && Math.abs(holder.clientWidth - drawn) > 1) Plotly.Plots.resize(holder);
      }));
      holder.tsWatched.observe(holder);
    }
  };

  /* Which of a trace's points are chosen: null lifts the selection, [] greys the whole trace out. */
  const chosenPoints = (trace, ids) =>
    ids.size === 0 ? null : flat1(trace.customdata).flatMap((id, i) => (ids.has(String(first(id))) ? [i] : []));
  const flat1 = (value) => (Array.isArray(value) ? value : []);

  t.light = (holder, ids) => t.afterPaint(holder, () => light(holder, ids));
  const light = (holder, ids) => {
    if (!holder.isConnected || !holder._fullLayout) return;
    const data = holder.data || [];
    const linked = data.flatMap((trace, i) =>
      Array.isArray(trace.customdata) && trace.type !== "heatmap" ? [i] : []);
    if (linked.length) {
      Plotly.restyle(holder, { selectedpoints: linked.map((i) => chosenPoints(data[i], ids)) }, linked);
    }
    if (data.some((trace) => trace.type === "heatmap" && trace.customdata)) {
      const kept = (holder.layout.shapes || []).filter((shape) => shape.name !== "chosen");
      Plotly.relayout(holder, { shapes: [...kept, ...cells(data, ids, t.theme().accent)] });
    }
  };

  /* Plain clicks also send a selection, of nothing or of themselves: only what a lasso or a box encloses counts. Its
     outline goes at once, or plotly would choose by the outline again when the points have moved. */
  t.listen = (holder, choose) => {
    const ids = (points) => [...new Set(points.map((p) => first(p.customdata)).filter((id) => id != null).map(String))];
    holder.on("plotly_click", (event) => choose(ids(event.points)));
    holder.on("plotly_selected", (event) => {
      if (!event || !(event.lassoPoints || event.range)) return;
      choose(ids(event.points));
      setTimeout(() => Plotly.relayout(holder, { selections: [] }));
    });
    holder.on("plotly_deselect", () => choose([]));
  };

  t.kinds.figure = ({ element, trigger, props, watch }) => {
    const holder = t.make("div", { class: "ts-plot", role: "figure" });
    element.querySelector(".ts-root").append(holder);
    let wired = false;
    const choose = (ids) => {
      t.select(props.group, ids, element);
      t.afterPaint(trigger, () => trigger("select", { ids }));
    };
    const draw = async () => {
      holder.setAttribute("aria-label", props.label || "figure");
      if (!props.value) {
        holder.replaceChildren(t.make("p", { class: "ts-empty", text: props.empty || "" }));
        wired = false;
        return;
      }
      if (!wired) holder.replaceChildren();
      await t.draw(holder, props.value);
      if (!wired) t.listen(holder, choose);
      wired = true;
      const ids = t.group(props.group).ids;
      if (ids.size) t.light(holder, ids);
    };
    t.join(props.group, element, (ids) => wired && t.light(holder, ids));
    t.onTheme(element, draw);
    watch("value", draw);
    draw();
  };
})();
