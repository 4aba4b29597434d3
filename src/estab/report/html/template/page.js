"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const tables = read("tables"), charts = read("charts");
  const rows = (key) => {
    const columns = tables[key], names = Object.keys(columns), made = [];
    const length = names.length ? columns[names[0]].length : 0;
    for (let i = 0; i < length; i++) {
      const row = {};
      for (const name of names) row[name] = columns[name][i];
      made.push(row);
    }
    return made;
  };

  // Plots: the charts name tables; the same chart may stand for several runs, each with its own.
  // The values under the pointer stand beside it.
  const tip = document.getElementById("tip");
  const tell = (_handler, event, _item, value) => {
    const pairs = value && typeof value === "object" ? Object.entries(value) : [];
    tip.textContent = pairs.map(([name, words]) => `${name}  ${words}`).join("\n");
    tip.hidden = !pairs.length;
    if (tip.hidden) return;
    const { clientWidth: wide, clientHeight: high } = document.documentElement;
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, wide - tip.offsetWidth - 4))}px`;
    tip.style.top = `${event.clientY + tip.offsetHeight + 18 > high ? event.clientY - tip.offsetHeight - 10 : event.clientY + 14}px`;
  };
  const draw = async (place) => {
    if (place.dataset.drawn || !place.clientWidth) return;
    place.dataset.drawn = "no";
    const spec = structuredClone(charts[place.dataset.chart]);
    for (const source of spec.data || []) {
      const key = place.dataset.prefix + source.name;
      if (key in tables) source.values = rows(key);
    }
    const options = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false, tooltip: tell };
    place.view = (await vegaEmbed(place, spec, options)).view;
    place.dataset.drawn = "yes";
  };
  const drawAll = () => document.querySelectorAll(".canvas").forEach(draw);
  document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", drawAll));
  drawAll();

  // A link to a run, or into one, opens it.
  const open = () => {
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const run = place && place.closest("details.run");
    if (!run || run.open) return;
    run.open = true;
    place.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  // Paper: everything is opened, and as wide as the sheet.
  const width = (px) => document.querySelectorAll(".canvas").forEach((place) => {
    if (place.view) place.view.signal("width", px || place.clientWidth).run();
  });
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => { one.open = true; });
    drawAll();
    width(660);
  });
  addEventListener("afterprint", () => { closed.forEach((one) => { one.open = false; }); width(0); });

  // Downloads.
  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const cell = (value) => {
    if (value === null) return "";
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
  const csv = (key) => {
    const names = Object.keys(tables[key]);
    const lines = [names.map(cell), ...rows(key).map((row) => names.map((name) => cell(row[name])))];
    return lines.map((line) => line.join(",") + "\r\n").join("");
  };
  const unpacked = async (id) => {
    const script = document.getElementById(id);
    const bytes = Uint8Array.from(atob(script.textContent), (c) => c.charCodeAt(0));
    if (!script.dataset.packed) return new Blob([bytes]);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.get");
    if (!button) return;
    const { table, as, name, file } = button.dataset;
    if (table && as === "csv") save(name, new Blob([csv(table)], { type: "text/csv" }));
    else if (table) save(name, new Blob([JSON.stringify(rows(table), null, 1) + "\n"], { type: "application/json" }));
    else if (file) save(name, await unpacked(file));
    else {
      const text = button.previousElementSibling.textContent;
      try { await navigator.clipboard.writeText(text); button.textContent = "copied"; }
      catch { getSelection().selectAllChildren(button.previousElementSibling); }
    }
  });

  const copy = document.getElementById("copy");
  copy.addEventListener("click", async () => {
    const text = read("markdown");
    try { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; }
    catch { save("report.md", new Blob([text], { type: "text/markdown" })); }
  });

  // Colours: as the system has them, light, dark.
  const button = document.getElementById("theme"), themes = ["auto", "light", "dark"];
  const show = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = theme[0].toUpperCase() + theme.slice(1);
    button.setAttribute("aria-label", theme === "auto" ? "Colours: as the system has them" : `Colours: ${theme}`);
  };
  let theme = "auto";
  try { theme = themes.includes(localStorage.estabTheme) ? localStorage.estabTheme : "auto"; } catch { /* a file may have no storage */ }
  show(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    show(theme);
    try { localStorage.estabTheme = theme; } catch { /* as above */ }
  });
})();
