// What pages do beyond links and forms.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const on = (name, react) => document.addEventListener(name, react);
  const store = {
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem(key, value); } catch { } },
  };

  // Theme
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => ({ dark: true, light: false })[root.dataset.theme] ?? system.matches;
  const showTheme = () => $$("[data-theme-toggle]").forEach((button) => {
    button.setAttribute("aria-pressed", dark());
    $$("[data-when]", button).forEach((part) => part.toggleAttribute("hidden", (part.dataset.when === "dark") !== dark()));
  });

  // Live region: counts at most every 5 s, urgent news at once
  let spoken = "", urgent = "", waiting = 0, last = 0;
  const speak = (text) => { $("#live-region").textContent = text; };
  const announce = () => {
    const now = $("[data-announce-now]")?.textContent.trim() || "";
    if (now !== urgent) {
      urgent = now;
      if (now) { last = Date.now(); return speak(now); }
    }
    if (waiting) return;
    waiting = setTimeout(() => {
      waiting = 0;
      const text = $("[data-announce]")?.textContent.trim().replace(/\s+/g, " ");
      if (text && text !== spoken) { spoken = text; last = Date.now(); speak(text); }
    }, Math.max(0, 5000 - (Date.now() - last)));
  };

  let seen = new Date();
  const connection = (e, lost) => {
    if (!e.detail.elt.closest("[data-poll]")) return;
    const notice = $("#connection-lost");
    if (!lost) seen = new Date();
    if (!notice || notice.hidden === !lost) return;
    const text = `No connection. What you see is from ${$("[data-as-of]")?.dataset.asOf || seen.toISOString().slice(11, 19)}.`;
    $("b", notice).textContent = text;
    notice.hidden = !lost;
    speak(lost ? text : "Connected again.");
  };

  // Threshold: range, number and presets are one value
  const number = () => $("#threshold-input");
  const range = () => $("#threshold-range");
  const written = (value) => (value >= 0.01 ? value.toFixed(2) : String(value));
  const bounds = ({ dataset }) => [Number(dataset.lo), Number(dataset.hi)];
  const position = (value, [lo, hi]) => Math.min(1, Math.max(0, (Math.log10(value) - lo) / (hi - lo)));

  const draw = () => {
    const value = Number(number()?.value);
    if (!(value > 0)) return;
    const label = `$${written(value)}`;
    for (const chart of $$("[data-chart]")) {
      const left = Number(chart.dataset.plotLeft);
      const x = left + (chart.dataset.plotRight - left) * position(value, bounds(chart));
      $("[data-threshold-line]", chart)?.setAttribute("transform", `translate(${x.toFixed(2)} 0)`);
      $("[data-threshold-zone]", chart)?.setAttribute("width", (x - left).toFixed(2));
      const text = $("[data-threshold-label]", chart);
      if (text) text.textContent = (text.dataset.thresholdLabel || "") + label;
    }
    const slots = $("[data-slots-text]")?.dataset.slotsText;
    range()?.setAttribute("aria-valuetext", slots ? `${label}, ${slots}` : label);
    $$("[data-preset]").forEach((p) => p.setAttribute(p.href ? "aria-current" : "aria-pressed", Number(p.dataset.preset) === value));
  };
  const fromRange = () => {
    const [lo, hi] = bounds(range()), step = Number(range().value);
    const snap = $$("[data-preset]").map((p) => Number(p.dataset.preset)).find((p) => Math.abs(position(p, [lo, hi]) * 400 - step) <= 3);
    number().value = written(snap ?? Number((10 ** (lo + (hi - lo) * step / 400)).toPrecision(2)));
    draw();
  };
  const fromNumber = () => {
    const value = Number(number().value);
    if (range() && value > 0) range().value = Math.round(position(value, bounds(range())) * 400);
    draw();
  };
  const pass = () => number().dispatchEvent(new Event("input", { bubbles: true }));

  on("input", (e) => {
    if (e.target === range()) { fromRange(); pass(); }
    else if (e.target === number() && e.isTrusted) fromNumber();
  });

  // Clicks
  const copy = async (button) => {
    const from = button.dataset.copy;
    const text = from.startsWith("#") ? $(from).textContent.trim() : from;
    try { await navigator.clipboard.writeText(text); speak("Copied."); } catch { speak("Not copied."); }
  };
  on("click", (e) => {
    const at = (selector) => e.target.closest?.(selector);
    let node;
    if (at("[data-theme-toggle]")) {
      root.dataset.theme = dark() ? "light" : "dark";
      store.set("theme", root.dataset.theme);
      showTheme();
    } else if ((node = at("[data-copy]"))) copy(node);
    else if ((node = at("[data-close]"))) node.closest("dialog")?.close();
    else if ((node = at("[data-dialog]"))) {
      const dialog = document.getElementById(node.dataset.dialog);
      if (dialog && !e.ctrlKey && !e.metaKey) { e.preventDefault(); dialog.showModal(); }
    } else if ((node = at("[data-preset]")) && number()) {
      e.preventDefault();
      number().value = node.dataset.preset;
      fromNumber();
      pass();
    }
    $$("details.user[open]").forEach((menu) => { if (!menu.contains(e.target)) menu.open = false; });
  });

  // A form is sent once
  on("submit", (e) => {
    const button = e.submitter;
    if (!button || e.target.method === "dialog") return;
    if (button.getAttribute("aria-busy") === "true") return e.preventDefault();
    if (e.target.hasAttribute("data-busy")) {
      button.style.minWidth = `${button.offsetWidth}px`;
      button.setAttribute("aria-busy", "true");
    }
  });
  addEventListener("pageshow", (e) => { if (e.persisted) $$("[aria-busy=true]").forEach((b) => b.removeAttribute("aria-busy")); });

  // No key approves, starts or stops.
  const visible = (node) => node.checkVisibility();
  const walk = (by) => {
    const rows = $$("[data-row]").filter(visible);
    const next = rows[Math.max(0, Math.min(rows.length - 1, rows.findIndex((r) => r.contains(document.activeElement)) + by))];
    if (!next) return;
    next.tabIndex = -1;
    ($("a[href]", next) || next).focus();
  };
  on("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || store.get("keys") === "off") return;
    if (e.target.closest("input:not([type=range]):not([type=checkbox]),textarea,select,[contenteditable],dialog[open]")) return;
    const key = e.key;
    if (key === "j" || key === "k") walk(key === "j" ? 1 : -1);
    else if (key === "?") $("#keys-dialog")?.showModal();
    else if ("/trd".includes(key)) {
      const node = $$(`[data-key="${key}"]`).find(visible);
      if (node?.matches("input")) node.focus(); else node?.click();
    } else return;
    e.preventDefault();
  });
  on("change", (e) => {
    if (e.target.matches("[data-keys-switch]")) store.set("keys", e.target.checked ? "on" : "off");
  });

  // htmx
  for (const name of ["sendError", "timeout", "responseError"]) on(`htmx:${name}`, (e) => connection(e, true));
  on("htmx:beforeOnLoad", (e) => {
    if (e.detail.xhr.status < 400) connection(e, false);
    if (e.detail.xhr.getResponseHeader("HX-Refresh") === "true") sessionStorage.setItem("focus", "h1[data-focus]");
  });
  on("htmx:afterSettle", () => { draw(); announce(); });

  // A refused step shows a page at an address that can't be loaded again.
  const at = $("#content")?.dataset.at;
  if (at) history.replaceState(null, "", at);

  showTheme();
  system.addEventListener("change", showTheme);
  $$("[data-keys-switch]").forEach((box) => { box.checked = store.get("keys") !== "off"; });
  if (number()) fromNumber();
  announce();
  $(sessionStorage.getItem("focus") || "[data-focus-on-load]")?.focus();
  sessionStorage.removeItem("focus");
})();
