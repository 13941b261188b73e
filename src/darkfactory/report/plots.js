/* Zoomable plots from the numbers in the page: nothing is loaded. Drag: zoom; double click: all; wheel: zoom at the
   pointer; shift and drag: move. The address keeps the view of the plot that was touched last (#view:id:x0,x1,y0,y1). */
"use strict";
(function () {
  const NS = "http://www.w3.org/2000/svg";
  const W = 720, H = 460, M = { left: 96, right: 16, top: 14, bottom: 60 };
  const w = W - M.left - M.right, h = H - M.top - M.bottom;
  const DASH = { solid: "", dashed: "7 4", dotted: "2 3" };

  function el(parent, name, attributes, text) {
    const e = document.createElementNS(NS, name);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    if (text !== undefined) e.textContent = text;
    if (parent) parent.appendChild(e);
    return e;
  }
  function number(v) {
    if (v === 0) return "0";
    const a = Math.abs(v);
    if (a >= 1e4 || a < 1e-3) return v.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
    return String(parseFloat(v.toPrecision(4)));
  }
  function ticks(lo, hi, log) {
    const out = [];
    if (log) {
      const a = Math.ceil(Math.log10(lo) - 1e-9), b = Math.floor(Math.log10(hi) + 1e-9);
      const step = Math.max(1, Math.ceil((b - a) / 8));
      for (let k = a; k <= b; k += step) out.push(Math.pow(10, k));
      if (out.length >= 2) return out;
      for (let k = a - 1; k <= b + 1; k++)
        for (const f of [1, 2, 5]) { const v = f * Math.pow(10, k); if (v >= lo && v <= hi && !out.includes(v)) out.push(v); }
      if (out.length >= 2) return out.sort((p, q) => p - q);
      out.length = 0;
    }
    const raw = (hi - lo) / 6, mag = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = [1, 2, 5, 10].map(f => f * mag).find(s => s >= raw) || 10 * mag;
    for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + 1e-9 * step; k++) out.push(k * step);
    return out;
  }

  function Plot(box) {
    const spec = JSON.parse(box.querySelector("script").textContent);
    const self = { spec: spec, logx: spec.logx, logy: spec.logy, hidden: new Set() };
    const svg = el(null, "svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": spec.title });
    box.insertBefore(svg, box.firstChild);
    const clip = "clip-" + spec.id;
    el(el(el(svg, "defs", {}), "clipPath", { id: clip }), "rect", { x: M.left, y: M.top, width: w, height: h });
    const layer = el(svg, "g", {});
    const rubber = el(svg, "rect", { "class": "rubber", visibility: "hidden" });
    const tip = document.createElement("div");
    tip.className = "tip"; tip.hidden = true; box.appendChild(tip);

    function extent(axis) {
      let lo = Infinity, hi = -Infinity;
      const log = axis === "x" ? self.logx : self.logy;
      spec.series.forEach((s, i) => {
        if (self.hidden.has(i)) return;
        for (const key of axis === "x" ? ["x"] : ["y", "low", "high"])
          for (const v of s[key] || []) if (v !== null && isFinite(v) && (!log || v > 0)) { lo = Math.min(lo, v); hi = Math.max(hi, v); }
      });
      if (!(lo <= hi)) return [log ? 0.1 : 0, 1];
      if (log) { const f = Math.pow(hi / lo || 1, 0.05) * 1.02; return [lo / f, hi * f]; }
      const pad = (hi - lo || Math.abs(hi) || 1) * 0.04;
      return [axis === "y" && lo >= 0 ? 0 : lo - pad, hi + pad];
    }
    self.reset = function () { self.view = extent("x").concat(extent("y")); self.draw(); };
    const fx = v => self.logx ? Math.log(v) : v, fy = v => self.logy ? Math.log(v) : v;
    const px = v => M.left + w * (fx(v) - fx(self.view[0])) / (fx(self.view[1]) - fx(self.view[0]));
    const py = v => M.top + h * (1 - (fy(v) - fy(self.view[2])) / (fy(self.view[3]) - fy(self.view[2])));
    function back(t, lo, hi, log) { return log ? lo * Math.pow(hi / lo, t) : lo + t * (hi - lo); }
    const ix = p => back((p - M.left) / w, self.view[0], self.view[1], self.logx);
    const iy = p => back(1 - (p - M.top) / h, self.view[2], self.view[3], self.logy);
    const good = (v, log) => v !== null && v !== undefined && isFinite(v) && (!log || v > 0);

    self.draw = function () {
      layer.textContent = "";
      const [x0, x1, y0, y1] = self.view;
      for (const t of ticks(x0, x1, self.logx)) {
        if (t < x0 * (1 - 1e-9) - 1e-300 && self.logx || t < x0 - 1e-12 && !self.logx) continue;
        el(layer, "line", { x1: px(t), x2: px(t), y1: M.top, y2: M.top + h, "class": "grid" });
        el(layer, "text", { x: px(t), y: M.top + h + 22, "text-anchor": "middle", "class": "tick x" }, number(t));
      }
      for (const t of ticks(y0, y1, self.logy)) {
        el(layer, "line", { x1: M.left, x2: M.left + w, y1: py(t), y2: py(t), "class": "grid" });
        el(layer, "text", { x: M.left - 6, y: py(t) + 6, "text-anchor": "end", "class": "tick y" }, number(t));
      }
      el(layer, "rect", { x: M.left, y: M.top, width: w, height: h, "class": "frame" });
      el(layer, "text", { x: M.left + w / 2, y: H - 10, "text-anchor": "middle", "class": "label" }, spec.xlabel);
      el(layer, "text", { x: 0, y: 0, transform: `translate(20 ${M.top + h / 2}) rotate(-90)`, "text-anchor": "middle", "class": "label" }, spec.ylabel);
      const data = el(layer, "g", { "clip-path": `url(#${clip})` });
      spec.series.forEach((s, i) => {
        if (self.hidden.has(i)) return;
        const c = "series s" + (s.colour % 12);
        if (s.kind === "band") {
          let run = [];
          const flush = () => {
            if (run.length > 1) {
              const d = "M" + run.map(k => `${px(s.x[k]).toFixed(2)} ${py(s.high[k]).toFixed(2)}`).join("L") + "L" +
                run.slice().reverse().map(k => `${px(s.x[k]).toFixed(2)} ${py(s.low[k]).toFixed(2)}`).join("L") + "Z";
              el(data, "path", { d: d, "class": "band " + (s.style || "") });
            }
            run = [];
          };
          for (let k = 0; k < s.x.length; k++) {
            if (good(s.x[k], self.logx) && good(s.low[k], self.logy) && good(s.high[k], self.logy)) run.push(k); else flush();
          }
          flush();
          return;
        }
        if (s.kind === "bars") {
          s.x.forEach((x, k) => {
            if (good(x, self.logx) && good(s.low[k], self.logy) && good(s.high[k], self.logy))
              el(data, "line", { x1: px(x), x2: px(x), y1: py(s.low[k]), y2: py(s.high[k]), "class": c + " bar" });
          });
          return;
        }
        let d = "", pen = false;
        for (let k = 0; k < s.x.length; k++) {
          if (!good(s.x[k], self.logx) || !good(s.y[k], self.logy)) { pen = false; continue; }
          d += (pen ? "L" : "M") + px(s.x[k]).toFixed(2) + " " + py(s.y[k]).toFixed(2);
          pen = true;
          if (s.kind === "points") el(data, "circle", { cx: px(s.x[k]), cy: py(s.y[k]), r: 2.4, "class": c + " dot" });
        }
        if (d) el(data, "path", { d: d, "class": c + " line", "stroke-dasharray": DASH[s.dash] || "" });
      });
      box.dataset.view = self.view.map(v => v.toPrecision(6)).join(",");
    };

    function at(e) {
      const r = svg.getBoundingClientRect();
      return [(e.clientX - r.left) * W / r.width, (e.clientY - r.top) * H / r.height];
    }
    const clamp = (v, lo, hi) => Math.max(lo, Math.min(hi, v));
    function said() {
      try { history.replaceState(null, "", "#view:" + spec.id + ":" + self.view.map(v => v.toPrecision(6)).join(",")); } catch (e) { /* file pages may refuse */ }
    }
    let start = null;
    svg.addEventListener("pointerdown", e => { start = { p: at(e), shift: e.shiftKey, view: self.view.slice() }; svg.setPointerCapture(e.pointerId); });
    svg.addEventListener("pointermove", e => {
      const p = at(e);
      if (!start) return hover(p);
      if (start.shift) {
        const move = (a, b, lo, hi, log, size) => { const t = (a - b) / size; return [back(t, lo, hi, log), back(1 + t, lo, hi, log)]; };
        const v = start.view;
        self.view = move(start.p[0], p[0], v[0], v[1], self.logx, w).concat(move(p[1], start.p[1], v[2], v[3], self.logy, h));
        return self.draw();
      }
      const a = [clamp(start.p[0], M.left, M.left + w), clamp(start.p[1], M.top, M.top + h)];
      const b = [clamp(p[0], M.left, M.left + w), clamp(p[1], M.top, M.top + h)];
      rubber.setAttribute("x", Math.min(a[0], b[0])); rubber.setAttribute("y", Math.min(a[1], b[1]));
      rubber.setAttribute("width", Math.abs(a[0] - b[0])); rubber.setAttribute("height", Math.abs(a[1] - b[1]));
      rubber.setAttribute("visibility", "visible");
    });
    svg.addEventListener("pointerup", e => {
      if (!start) return;
      const p = at(e), s = start;
      start = null; rubber.setAttribute("visibility", "hidden");
      if (s.shift) return said();
      if (Math.abs(p[0] - s.p[0]) < 6 || Math.abs(p[1] - s.p[1]) < 6) return;
      const xs = [s.p[0], p[0]].map(v => ix(clamp(v, M.left, M.left + w))).sort((a, b) => a - b);
      const ys = [s.p[1], p[1]].map(v => iy(clamp(v, M.top, M.top + h))).sort((a, b) => a - b);
      self.view = xs.concat(ys); self.draw(); said();
    });
    svg.addEventListener("dblclick", () => { self.reset(); said(); });
    svg.addEventListener("wheel", e => {
      if (!e.ctrlKey && document.activeElement !== box) return;
      e.preventDefault(); self.zoom(Math.exp(e.deltaY * 0.002), at(e)); said();
    }, { passive: false });
    self.zoom = function (f, p) {
      const tx = (p[0] - M.left) / w, ty = 1 - (p[1] - M.top) / h, v = self.view;
      self.view = [back(tx - tx * f, v[0], v[1], self.logx), back(tx + (1 - tx) * f, v[0], v[1], self.logx),
        back(ty - ty * f, v[2], v[3], self.logy), back(ty + (1 - ty) * f, v[2], v[3], self.logy)];
      self.draw();
    };
    function hover(p) {
      let best = null, least = 18;
      spec.series.forEach((s, i) => {
        if (self.hidden.has(i) || s.kind === "band") return;
        s.x.forEach((x, k) => {
          const y = s.kind === "bars" ? s.low[k] : s.y[k];
          if (!good(x, self.logx) || !good(y, self.logy)) return;
          const d = Math.hypot(px(x) - p[0], py(y) - p[1]);
          if (d < least) { least = d; best = `${s.name}: ${number(x)}, ${number(y)}` + (s.kind === "bars" ? ` to ${number(s.high[k])}` : ""); }
        });
      });
      tip.hidden = !best;
      if (best) { tip.textContent = best; tip.style.left = 100 * p[0] / W + "%"; tip.style.top = 100 * p[1] / H + "%"; }
    }
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });

    const bar = document.createElement("div");
    bar.className = "bar-of-plot";
    function button(text, title, action) {
      const b = document.createElement("button");
      b.type = "button"; b.textContent = text; b.title = title; b.addEventListener("click", () => action(b)); bar.appendChild(b);
      return b;
    }
    const centre = [M.left + w / 2, M.top + h / 2];
    button("+", "zoom in", () => { self.zoom(0.6, centre); said(); });
    button("\u2212", "zoom out", () => { self.zoom(1 / 0.6, centre); said(); });
    button("all", "the whole plot", () => { self.reset(); said(); });
    const toggle = (key, axis) => b => { self[key] = !self[key]; b.setAttribute("aria-pressed", self[key]); self.reset(); };
    button("log x", "logarithmic axis", toggle("logx")).setAttribute("aria-pressed", self.logx);
    button("log y", "logarithmic axis", toggle("logy")).setAttribute("aria-pressed", self.logy);
    function save(text, type, name) {
      const a = document.createElement("a");
      a.href = URL.createObjectURL(new Blob([text], { type: type })); a.download = name; a.click(); URL.revokeObjectURL(a.href);
    }
    self.csv = function () {
      const rows = ["series,x,y,low,high"];
      for (const s of spec.series) s.x.forEach((x, k) => rows.push([JSON.stringify(s.name), x, (s.y || [])[k], (s.low || [])[k], (s.high || [])[k]].map(v => v === undefined || v === null ? "" : v).join(",")));
      return rows.join("\n") + "\n";
    };
    button("CSV", "the numbers of this plot", () => save(self.csv(), "text/csv", spec.id + ".csv"));
    button("SVG", "this view as a drawing", () => {
      const copy = svg.cloneNode(true);
      const style = document.createElementNS(NS, "style");
      style.textContent = Array.from(document.styleSheets[0].cssRules).map(r => r.cssText).filter(t => /^(\.plot|svg)/.test(t)).join("\n").replace(/\.plot /g, "");
      copy.setAttribute("xmlns", NS); copy.insertBefore(style, copy.firstChild);
      save(new XMLSerializer().serializeToString(copy), "image/svg+xml", spec.id + ".svg");
    });
    box.appendChild(bar);
    const legend = document.createElement("div");
    legend.className = "legend";
    spec.series.forEach((s, i) => {
      const b = document.createElement("button");
      b.type = "button"; b.textContent = s.name; b.title = "show or hide";
      b.className = s.kind === "band" ? "band " + (s.style || "") : "s" + (s.colour % 12) + " " + (s.dash || "solid");
      b.addEventListener("click", () => { self.hidden.has(i) ? self.hidden.delete(i) : self.hidden.add(i); b.classList.toggle("off"); self.draw(); });
      legend.appendChild(b);
    });
    box.appendChild(legend);
    box.tabIndex = 0;
    box.addEventListener("keydown", e => {
      if (e.key === "+") self.zoom(0.6, centre); else if (e.key === "-") self.zoom(1 / 0.6, centre); else if (e.key === "0") self.reset(); else return;
      said();
    });
    self.reset();
    return self;
  }

  function images() {
    // a figure that is an image: a click shows it large, wheel and drag zoom and move it
    const veil = document.createElement("div");
    veil.className = "veil"; veil.hidden = true;
    const img = document.createElement("img"); veil.appendChild(img); document.body.appendChild(veil);
    let k = 1, x = 0, y = 0, from = null;
    const put = () => { img.style.transform = `translate(${x}px,${y}px) scale(${k})`; };
    document.querySelectorAll("figure a.image").forEach(a => a.addEventListener("click", e => {
      if (e.ctrlKey || e.metaKey || e.shiftKey) return;
      e.preventDefault(); img.src = a.href; k = 1; x = y = 0; put(); veil.hidden = false;
    }));
    veil.addEventListener("wheel", e => { e.preventDefault(); k = Math.max(0.5, Math.min(12, k * Math.exp(-e.deltaY * 0.002))); put(); }, { passive: false });
    veil.addEventListener("pointerdown", e => { from = [e.clientX - x, e.clientY - y, 0]; });
    veil.addEventListener("pointermove", e => { if (from) { from[2] += 1; x = e.clientX - from[0]; y = e.clientY - from[1]; put(); } });
    veil.addEventListener("pointerup", () => { if (from && from[2] < 4) veil.hidden = true; from = null; });
    document.addEventListener("keydown", e => { if (e.key === "Escape") veil.hidden = true; });
    img.draggable = false;
  }

  function theme() {
    const b = document.getElementById("theme");
    if (!b) return;
    const root = document.documentElement;
    const put = v => { if (v) root.dataset.theme = v; try { if (v) localStorage.setItem("theme", v); } catch (e) { /* none */ } };
    try { put(localStorage.getItem("theme")); } catch (e) { /* none */ }
    b.hidden = false;
    b.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      put(dark ? "light" : "dark");
    });
  }

  function start() {
    theme(); images();
    const plots = {};
    document.querySelectorAll(".plot").forEach(box => { const p = Plot(box); plots[p.spec.id] = p; });
    const told = /^#view:([^:]+):(.+)$/.exec(decodeURIComponent(location.hash));
    if (told && plots[told[1]]) {
      const v = told[2].split(",").map(Number);
      if (v.length === 4 && v.every(isFinite)) {
        plots[told[1]].view = v; plots[told[1]].draw();
        document.getElementById("plot-" + told[1]).scrollIntoView();
      }
    }
    addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(d => { d.open = true; }));
    document.documentElement.dataset.plots = Object.keys(plots).length;
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
