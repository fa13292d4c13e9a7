// The open conversation: stays at its end, says so when something new came while the reader was further up, tells the
// server what was seen, and puts each bubble in only once whoever brings it first.
(() => {
  "use strict";
  const NEAR_PX = 120;

  Levelhead.behaviour("thread", (pane) => {
    const scroll = pane.querySelector("#thread-scroll");
    const bubbles = pane.querySelector(".bubbles");
    const pill = pane.querySelector("#to-bottom");
    const seen = pane.querySelector("#thread-seen");
    let atEnd = true;
    let unseen = Number(pane.dataset.unread) > 0;

    const toEnd = () => {
      scroll.scrollTop = scroll.scrollHeight;
      pill.hidden = true;
    };
    const tell = () => {
      if (!unseen || document.hidden || !pane.isConnected) return;
      unseen = false;
      htmx.trigger(seen, "seen");
    };

    scroll.addEventListener("scroll", () => {
      atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_PX;
      if (atEnd) pill.hidden = true;
    });
    // Pictures and the growing composer change the height below the reader.
    new ResizeObserver(() => atEnd && toEnd()).observe(scroll);
    scroll.addEventListener("load", () => atEnd && toEnd(), true);
    pill.addEventListener("click", toEnd);

    new MutationObserver((changes) => {
      const added = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.nodeType === 1);
      const fresh = added.filter((node) => node === bubbles.lastElementChild);
      const empty = document.getElementById("thread-empty");
      if (empty && added.length) empty.remove();
      if (!fresh.length) return;
      const ours = fresh[0].matches(".bubble-out, .bubble-comment");
      if (atEnd || ours) requestAnimationFrame(toEnd);
      else pill.hidden = false;
      if (added.some((node) => node.matches("[data-inbound]"))) {
        unseen = true;
        tell();
      }
    }).observe(bubbles, { childList: true });

    pane.addEventListener("click", (event) => {
      if (event.target.closest("[data-pane-toggle]")) {
        const wide = matchMedia("(min-width: 1200px)").matches;
        pane.classList.toggle(wide ? "is-contact-hidden" : "is-contact-shown");
        try {
          if (wide) localStorage.setItem("contact-pane", pane.classList.contains("is-contact-hidden") ? "hidden" : "shown");
        } catch {
          // Storage may be switched off; the pane then starts open.
        }
      }
      if (event.target.closest("[data-pane-close]")) pane.classList.remove("is-contact-shown");
    });
    try {
      pane.classList.toggle("is-contact-hidden", localStorage.getItem("contact-pane") === "hidden");
    } catch {
      // As above.
    }

    const turn = () => (pane.isConnected ? tell() : document.removeEventListener("visibilitychange", turn));
    document.addEventListener("visibilitychange", turn);
    toEnd();
    requestAnimationFrame(toEnd);
    setTimeout(tell, 0);
  });

  // The answer to a deed and a poll may bring the same bubble: the one that is there is replaced.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    if (!target || !target.classList || !target.classList.contains("bubbles")) return;
    [...fragment.querySelectorAll("li[id]")].forEach((item) => {
      const there = document.getElementById(item.id);
      if (there && target.contains(there)) {
        if (item.classList.contains("day-line")) item.remove();
        else there.replaceWith(item);
      }
    });
    // Older messages come in above: the reader stays where they were.
    const scroll = target.closest("#thread-scroll");
    const before = scroll.scrollHeight - scroll.scrollTop;
    if (scroll.scrollTop < 200 && fragment.childElementCount > 1) {
      requestAnimationFrame(() => (scroll.scrollTop = scroll.scrollHeight - before));
    }
  });

  // An answer about a conversation that has been left meanwhile must not reach the one that is open now.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const about = /\/inbox\/c\/([0-9a-f-]+)\/./.exec(event.detail.requestConfig.path);
    const open = document.querySelector("[data-conversation]");
    if (about && open && open.dataset.conversation !== about[1]) event.detail.shouldSwap = false;
  });

  // A poll says whether somebody is writing.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id !== "thread-poll") return;
    const body = document.getElementById("composer-body");
    const typed = body && Number(body.dataset.typedAt || 0);
    if (typed && Date.now() - typed < 4000) event.detail.parameters.writing = "1";
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target && event.detail.target.id === "why-body") event.detail.target.textContent = "Looking…";
  });
})();
