// What pages do with scripts: copying, choosing many, confirming. All of it can be done without.
"use strict";
(() => {
  const speak = (text) => {
    const place = document.getElementById("spoken");
    if (place) place.textContent = text;
  };

  const copy = async (button) => {
    // A digest stands in the title of what shows its beginning.
    const text = button.dataset.copy || button.parentElement.title;
    const done = document.body.dataset.copied;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // No clipboard without TLS: an old way still works.
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "unseen";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    speak(done);
    const before = button.title;
    button.title = done;
    button.classList.add("copied");
    setTimeout(() => {
      button.title = before;
      button.classList.remove("copied");
    }, 1500);
  };

  let last = null; // the box that was ticked before
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.opens);
      if (dialog && dialog.showModal) {
        event.preventDefault();
        dialog.showModal();
      }
    }
    if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
    // With shift, all boxes from the last one to this one become like this one.
    const box = event.target.closest(".pick input");
    if (box && event.shiftKey && last && last.form === box.form) {
      const boxes = [...box.form.querySelectorAll(".pick input")];
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      for (const one of boxes.slice(from, to + 1)) one.checked = box.checked;
    }
    if (box) last = box;
  });

  // A box that checks all boxes of its table; buttons that need one say how many there are.
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-all]");
    const form = event.target.closest("form");
    if (all) {
      for (const box of form.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
    }
    if (form) {
      for (const button of form.querySelectorAll("[data-needs]")) {
        const count = form.querySelectorAll(`input[name="${button.dataset.needs}"]:checked`).length;
        button.disabled = count === 0;
        const place = button.querySelector("[data-count]");
        if (place) place.textContent = count ? ` (${count})` : "";
      }
    }
    // A choice that is sent as soon as it is made.
    if (event.target.closest("[data-sends]")) form.requestSubmit();
  });

  // Tabs that do not fit scroll: the one that is open is in sight.
  const open = document.querySelector(".tabs [aria-current]");
  if (open) open.closest("ul").scrollLeft = open.offsetLeft - open.closest("ul").offsetLeft - 48;

  // What was not asked for does not stand in the address.
  document.addEventListener("formdata", (event) => {
    if (event.target.method !== "get") return;
    for (const [key, value] of [...event.formData]) if (value === "") event.formData.delete(key);
  });
})();
