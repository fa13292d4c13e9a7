// The composer: grows with the text, sends on Ctrl-Enter, takes pictures from the button, the clipboard and by dropping,
// replaces dear characters, and opens the snippets on "/". What it costs is the server's word (POST …/draft).
(() => {
  "use strict";
  // Whoever leaves the composer while a text is on its way (Esc, a click or Tab elsewhere) is not brought back by the
  // answer: the next key, "e" to close say, would be typed into the next text.
  let left = false;
  document.addEventListener("keydown", (event) => (left ||= event.key === "Escape"));
  document.addEventListener("focusin", (event) => (left ||= !event.target.closest("#composer")));

  Levelhead.behaviour("composer", (form) => {
    const body = form.querySelector("#composer-body");
    const list = form.querySelector("#snippet-list");
    const file = form.querySelector("#composer-file");
    const files = form.querySelector("#composer-files");
    const isComment = () => form.elements.mode.value === "comment";

    const measure = () => htmx.trigger(body, "measure");
    // Elsewhere the stylesheet's field-sizing does it.
    const grow = () => {
      if (CSS.supports("field-sizing", "content")) return;
      body.rows = Math.min(12, Math.max(2, body.value.split("\n").length, Math.ceil(body.value.length / 60)));
    };
    const setText = (text, at = text.length) => {
      body.value = text;
      body.setSelectionRange(at, at);
      grow();
      measure();
    };
    // Each mode keeps its own words: what was written for the team is never a keystroke away from being sent.
    const kept = { text: "", comment: "" };
    let mode = form.elements.mode.value;
    const changeMode = () => {
      const next = form.elements.mode.value;
      if (next !== mode) {
        kept[mode] = body.value;
        mode = next;
        setText(kept[next]);
      }
      showMode();
    };
    const showMode = () => {
      form.classList.toggle("is-comment", isComment());
      body.placeholder = isComment() ? body.dataset.placeholderComment : body.dataset.placeholderText;
    };

    // Snippets: the word that begins with "/" before the caret.
    const slash = () => /(?:^|\s)(\/[a-z0-9_-]*)$/i.exec(body.value.slice(0, body.selectionStart));
    const options = () => [...list.querySelectorAll(".snippet-item")];
    let wanted = null;
    let asked = 0;
    const closeList = () => {
      list.hidden = true;
      wanted = null;
      body.removeAttribute("aria-activedescendant");
    };
    const choose = (index) => {
      const all = options();
      all.forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
      if (!all[index]) return;
      body.setAttribute("aria-activedescendant", all[index].id);
      all[index].scrollIntoView({ block: "nearest" });
    };
    const chosen = () => options().findIndex((option) => option.getAttribute("aria-selected") === "true");
    const openList = async (words) => {
      wanted = words;
      asked += 1;
      const mine = asked;
      const answer = await fetch(`${form.dataset.snippets}?words=${encodeURIComponent(words)}`, { headers: { "HX-Request": "true" } });
      if (!answer.ok || mine !== asked || wanted === null) return;
      list.innerHTML = await answer.text();
      list.hidden = false;
      choose(0);
    };
    const insert = (text) => {
      const found = slash();
      const end = body.selectionStart;
      const start = found ? end - found[1].length : end;
      setText(body.value.slice(0, start) + text + body.value.slice(end), start + text.length);
      closeList();
      body.focus();
    };

    body.addEventListener("input", () => {
      grow();
      body.dataset.typedAt = Date.now();
      const found = isComment() ? null : slash();
      if (found) openList(found[1].slice(1));
      else closeList();
    });
    body.addEventListener("blur", () => setTimeout(() => list.contains(document.activeElement) || closeList(), 150));
    list.addEventListener("mousedown", (event) => event.target.closest("a") || event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target.closest(".snippet-item");
      if (option) insert(option.dataset.body);
    });
    form.querySelector("#snippet-button").addEventListener("click", () => {
      body.focus();
      const before = body.value.slice(0, body.selectionStart);
      body.setRangeText(before && !/\s$/.test(before) ? " /" : "/", body.selectionStart, body.selectionEnd, "end");
      openList("");
    });

    body.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (!list.hidden && options().length) {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) choose((chosen() + step + options().length) % options().length);
        else if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || event.key === "Tab") insert(options()[Math.max(0, chosen())].dataset.body);
        else if (event.key === "Escape") {
          closeList();
          event.stopPropagation();
        } else return;
        event.preventDefault();
      } else if (event.key === "Escape" && !list.hidden) {
        closeList();
        event.stopPropagation();
      } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        const button = form.querySelector(isComment() ? ".composer-go-comment" : ".composer-go");
        if (!button.disabled) form.requestSubmit(button);
      }
    });

    form.addEventListener("change", (event) => {
      if (event.target.name === "mode") changeMode();
      if (event.target.matches("[data-measure]")) measure();
    });
    form.addEventListener("click", (event) => {
      const replace = event.target.closest("[data-replace]");
      const remove = event.target.closest("[data-remove-file]");
      if (replace) setText(replace.dataset.replace);
      if (remove) {
        remove.closest("li").remove();
        measure();
      }
      if (replace || remove) body.focus();
    });

    const attach = async (chosenFiles) => {
      const pictures = [...chosenFiles];
      if (!pictures.length) return;
      const data = new FormData();
      pictures.forEach((picture) => data.append("file", picture));
      files.classList.add("is-loading");
      try {
        const token = document.querySelector("meta[name=csrf-token]");
        const headers = { "HX-Request": "true", ...(token && { "X-CSRFToken": token.content }) };
        const answer = await fetch(form.dataset.attach, { method: "POST", body: data, headers });
        if (answer.ok) {
          files.insertAdjacentHTML("beforeend", await answer.text());
          measure();
        } else {
          const told = JSON.parse(answer.headers.get("HX-Trigger") || "{}").toast;
          Levelhead.toast((told && told.text) || "That file could not be attached.", "danger");
        }
      } catch {
        Levelhead.toast("Could not reach the server. Check the connection and try again.", "danger");
      }
      files.classList.remove("is-loading");
      file.value = "";
    };
    file.addEventListener("change", () => attach(file.files));
    body.addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length || isComment()) return;
      event.preventDefault();
      attach(event.clipboardData.files);
    });
    form.addEventListener("dragover", (event) => {
      if (isComment() || ![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      form.classList.add("is-dropping");
    });
    form.addEventListener("dragleave", (event) => form.contains(event.relatedTarget) || form.classList.remove("is-dropping"));
    form.addEventListener("drop", (event) => {
      form.classList.remove("is-dropping");
      if (isComment() || !event.dataTransfer.files.length) return;
      event.preventDefault();
      attach(event.dataTransfer.files);
    });

    // While it is being sent nothing may be typed that the answer would throw away.
    form.addEventListener("htmx:beforeRequest", (event) => {
      if (event.target !== form) return;
      htmx.trigger(body, "htmx:abort");
      left = false;
      body.readOnly = true;
    });
    form.addEventListener("htmx:afterRequest", (event) => {
      if (event.target === form) body.readOnly = false;
    });

    showMode();
    grow();
    if (body.value) {
      body.setSelectionRange(body.value.length, body.value.length);
    }
    if (!left && ("sent" in form.dataset || form.querySelector("#composer-error"))) body.focus();
  });
})();
