// The behaviour registry. A behaviour is one small file that calls Levelhead.behaviour(name, mount); mount(element) runs
// once for each element with that name in data-behaviour ("a b" means both), at load and whenever htmx adds elements.
(() => {
  "use strict";
  const mounts = new Map();
  const done = new WeakMap();

  const mountOne = (element) => {
    const seen = done.get(element) || done.set(element, new Set()).get(element);
    for (const name of element.dataset.behaviour.split(/\s+/)) {
      const mount = mounts.get(name);
      if (!mount || seen.has(name)) continue;
      seen.add(name);
      mount(element);
    }
  };

  const mountIn = (root) => {
    if (root.matches && root.matches("[data-behaviour]")) mountOne(root);
    root.querySelectorAll("[data-behaviour]").forEach(mountOne);
  };

  window.Levelhead = {
    behaviour(name, mount) {
      mounts.set(name, mount);
    },
    mountIn,
  };

  // Deferred scripts have all run by then, whatever their order.
  document.addEventListener("DOMContentLoaded", () => mountIn(document.body));
  document.addEventListener("htmx:load", (event) => mountIn(event.detail.elt));
  // A morph adds elements below a root that stays, for which htmx:load does not fire.
  document.addEventListener("htmx:afterSettle", (event) => mountIn(event.detail.elt));
  document.addEventListener("htmx:oobAfterSwap", (event) => mountIn(event.detail.target));
})();
