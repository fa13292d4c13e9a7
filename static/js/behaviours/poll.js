// Makes an element ask again and again: fires "every-tick" on it every data-poll-ms. In a hidden tab it rests, or goes on
// every data-poll-hidden-ms. (htmx's own "every 3s" cannot rest without a filter, and filters need eval.)
(() => {
  "use strict";
  Levelhead.behaviour("poll", (element) => {
    let timer = 0;
    const wait = () => Number(document.hidden ? element.dataset.pollHiddenMs || 0 : element.dataset.pollMs);
    const plan = () => {
      clearTimeout(timer);
      if (wait()) timer = setTimeout(tick, wait());
    };
    const tick = () => {
      if (!element.isConnected) return document.removeEventListener("visibilitychange", turn);
      htmx.trigger(element, "every-tick");
      plan();
    };
    const turn = () => (document.hidden ? plan() : tick());
    document.addEventListener("visibilitychange", turn);
    plan();
  });
})();
