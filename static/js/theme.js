// Sets light or dark before the first paint. Loaded in <head> without defer, so it stays tiny.
// The choice lives in the cookie "theme" (auto, light, dark), which the server reads too.
(() => {
  "use strict";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const choice = () => (/(?:^|; )theme=(light|dark)/.exec(document.cookie) || [])[1] || "auto";
  const apply = () => {
    const chosen = choice();
    document.documentElement.dataset.bsTheme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
  };
  document.documentElement.classList.add("js");
  system.addEventListener("change", apply);
  window.LevelheadTheme = { choice, apply };
  apply();
})();
