// hx-swap="morph" and "morph:innerHTML": changes only what differs, so the focus, the scroll place and open menus stay.
// Ours instead of the package's idiomorph-ext 0.8.0, which claims every other swap style as its own: an out-of-band
// "beforeend" then inserts its wrapper too (two elements with one id), and "morph:{…}" would need eval.
// Out of band write hx-swap-oob="morph": after a colon htmx expects a selector there.
(() => {
  "use strict";
  const STYLES = { morph: "outerHTML", "morph:outerHTML": "outerHTML", "morph:innerHTML": "innerHTML" };

  htmx.defineExtension("morph", {
    isInlineSwap: (style) => STYLES[style] === "outerHTML",
    handleSwap(style, target, fragment) {
      const morphStyle = STYLES[style];
      if (!morphStyle) return false;
      // A poll must not overwrite what somebody is typing. Only then: the option also skips everything inside the focused
      // element, and a focused link (a row of a list) has to follow its news.
      const active = document.activeElement;
      const ignoreActiveValue = Boolean(active && active.matches("input, textarea, select, [contenteditable]"));
      // Styles are only ever set by behaviours (the place of an open menu); the server's markup holds none.
      const callbacks = { beforeAttributeUpdated: (name) => name !== "style" };
      return Idiomorph.morph(target, fragment.children, { morphStyle, ignoreActiveValue, callbacks });
    },
  });
})();
