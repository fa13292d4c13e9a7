// The command palette: Ctrl-K or ⌘K anywhere, or any element with data-palette-open ("all" or "accounts").
// The list comes from the server (components/_palette_results.html); here are only the keys and the dialog.
(() => {
  "use strict";
  const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

  Levelhead.behaviour("palette", (dialog) => {
    const input = dialog.querySelector("[role=combobox]");
    const list = dialog.querySelector("[role=listbox]");
    const only = dialog.querySelector("[name=only]");
    const options = () => [...list.querySelectorAll("a[role=option]")];
    let chosen = -1;

    const choose = (index) => {
      const all = options();
      chosen = all.length ? (index + all.length) % all.length : -1;
      all.forEach((option, at) => option.setAttribute("aria-selected", String(at === chosen)));
      if (chosen < 0) return input.removeAttribute("aria-activedescendant");
      input.setAttribute("aria-activedescendant", all[chosen].id);
      all[chosen].scrollIntoView({ block: "nearest" });
    };

    const open = (what) => {
      if (dialog.open) return dialog.close();
      document.querySelectorAll("[popover]:popover-open").forEach((popover) => popover.hidePopover());
      only.value = what === "accounts" ? "accounts" : "";
      input.value = "";
      const words = only.value ? "Find an account" : "Find a page or an account";
      input.placeholder = `${words}…`;
      input.setAttribute("aria-label", words);
      dialog.showModal();
      input.focus();
      htmx.trigger(input, "palette-opened");
    };

    list.addEventListener("htmx:afterSwap", () => choose(0));
    list.addEventListener("pointermove", (event) => {
      const at = options().indexOf(event.target.closest("a[role=option]"));
      if (at >= 0 && at !== chosen) choose(at);
    });

    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const all = options();
      if (event.key === "ArrowDown" || event.key === "ArrowUp") choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
      else if (event.key === "Enter" && all[chosen]) all[chosen].click();
      else if (event.key !== "Enter") return;
      event.preventDefault();
    });

    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

    document.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        open("all");
      }
    });

    document.addEventListener("click", (event) => {
      const opener = event.target.closest("[data-palette-open]");
      if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(opener.dataset.paletteOpen);
    });

    if (isMac) document.querySelectorAll("[data-shortcut]").forEach((keys) => (keys.textContent = `⌘${keys.dataset.shortcut}`));
  });
})();
