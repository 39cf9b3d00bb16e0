/* The page's own script: one shared selection a group of views, the theme's colours, and a registry of views.

   A view is mounted by its component with {element, trigger, props, watch, server}. A selection is a set of piece
   ids; every view of the same group lights the chosen ones up and greys the rest out, it hides nothing. */
(() => {
  const groups = new Map(); // name -> {ids: Set, views: Set of functions}
  const kinds = {};

  const group = (name) => {
    if (!groups.has(name)) groups.set(name, { ids: new Set(), views: new Set() });
    return groups.get(name);
  };

  /* Tell every view of the group; views that have left the page are forgotten. */
  function select(name, ids, origin) {
    const shared = group(name);
    shared.ids = new Set(ids);
    for (const view of [...shared.views]) {
      if (!view.element.isConnected) shared.views.delete(view);
      else view.show(shared.ids, origin === view.element);
    }
  }

  function join(name, element, show) {
    group(name).views.add({ element, show });
    return () => group(name).ids;
  }

  const style = (variable, fallback) =>
    getComputedStyle(document.body).getPropertyValue(variable).trim() || fallback;

  const theme = () => ({
    ink: style("--body-text-color", "#1f2937"),
    quiet: style("--body-text-color-subdued", "#4b5563"),
    line: style("--border-color-primary", "#d1d5db"),
    ground: style("--background-fill-primary", "#ffffff"),
    accent: "#E6007A",
    family: style("--font", "system-ui, sans-serif"),
  });

  const redraws = new Set();
  const onTheme = (element, redraw) => redraws.add({ element, redraw });
  new MutationObserver(() => {
    for (const entry of [...redraws]) {
      if (!entry.element.isConnected) redraws.delete(entry);
      else entry.redraw();
    }
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["class"], subtree: false });
  document.addEventListener("DOMContentLoaded", watchBody);
  if (document.body) watchBody();
  function watchBody() {
    new MutationObserver(() => redraws.forEach((entry) => entry.element.isConnected && entry.redraw())).observe(
      document.body, { attributes: true, attributeFilter: ["class"] });
  }

  /* Do heavy work once the browser has painted what is there; several calls for one key are one piece of work. */
  const waiting = new Map();
  function afterPaint(key, act) {
    const booked = waiting.has(key);
    waiting.set(key, act);
    if (booked) return;
    const work = () => {
      const latest = waiting.get(key);
      waiting.delete(key);
      latest();
    };
    // a page in the background paints nothing, and must not wait for it
    if (document.hidden) setTimeout(work);
    else requestAnimationFrame(() => setTimeout(work));
  }

  function debounce(wait, act) {
    let timer = 0;
    return (...args) => {
      clearTimeout(timer);
      timer = setTimeout(() => act(...args), wait);
    };
  }

  /* Make an element: text is always set as text, never as markup. */
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "text") node.textContent = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  /* A message in the corner that goes by itself; the same words are shown once. */
  function toast(text, role = "status", seconds = 4) {
    const shown = [...document.querySelectorAll(".ts-toast")].find((node) => node.firstChild.textContent === text);
    if (shown) return;
    const note = make("div", { class: "ts-toast", role }, make("span", { text }),
      make("button", { type: "button", class: "ts-small", "aria-label": "Close", text: "×", onclick: () => note.remove() }));
    document.body.append(note);
    setTimeout(() => note.remove(), seconds * 1000);
  }

  /* Gradio tells the message of a refused input only where the call went through its queue: tell the others too. */
  const ask = window.fetch;
  window.fetch = async (...args) => {
    const answer = await ask.apply(window, args);
    const url = String(args[0] && args[0].url ? args[0].url : args[0]);
    if (answer.status === 500 && url.includes("/gradio_api/run/")) {
      answer.clone().json().then((said) => {
        // the message is escaped for Gradio's own box, and ours shows text
        if (said.error) toast(new DOMParser().parseFromString(said.error, "text/html").body.textContent, "alert", 12);
      }, () => {});
    }
    return answer;
  };

  function download(name, type, text) {
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /* A spreadsheet runs a cell that begins with one of =+-@ as a formula: keep such text as text. */
  const cell = (value) => {
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
    return '"' + text.replaceAll('"', '""') + '"';
  };
  const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";

  /* `fixed` are a view's own properties; Gradio's `props` bring its value and label, which change. */
  function mount(kind, parts, fixed) {
    parts.props = new Proxy(parts.props, { get: (live, key) => (key in fixed ? fixed[key] : live[key]) });
    if (!parts.element.dataset.mounted) {
      parts.element.dataset.mounted = kind;
      kinds[kind](parts);
    }
  }

  window.tokenscope = { kinds, mount, select, join, group, theme, onTheme, afterPaint, debounce, make, toast,
    download, csv };
})();

/* A link to a tab's state: the tab and the values of its inputs in the address, nothing on the server. */
(() => {
  const t = window.tokenscope;
  t.copyLink = async (tab, keys, values) => {
    const link = new URL(window.location.href.split("?")[0]);
    link.searchParams.set("tab", tab);
    keys.forEach((key, i) => {
      const value = values[i];
      if (value === null || value === undefined) return;
      link.searchParams.set(key, typeof value === "object" ? JSON.stringify(value) : String(value));
    });
    history.replaceState(null, "", link);
    // without https on a local network browsers offer no clipboard: the address bar has the link all the same
    const copied = navigator.clipboard ? await navigator.clipboard.writeText(link.href).then(() => true, () => false) : false;
    t.toast(copied ? "Link copied." : "The link is in the address bar: copy it from there.");
  };
})();
