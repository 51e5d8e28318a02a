// Line numbers beside <textarea data-numbered>, and ways to the places that errors name. Without scripts the field is what it was.
(() => {
  const fields = new Map();
  const lineAt = (field) => field.value.slice(0, field.selectionStart).split("\n");

  const number = (field) => {
    const frame = document.createElement("div");
    const numbers = document.createElement("div");
    const where = document.createElement("p");
    frame.className = "rg-numbered";
    numbers.className = "rg-numbers";
    numbers.setAttribute("aria-hidden", "true");
    where.className = "rg-faint rg-where";
    where.id = `${field.id}-where`;
    field.setAttribute("aria-describedby", `${field.getAttribute("aria-describedby") || ""} ${where.id}`.trim());
    field.replaceWith(frame);
    frame.append(numbers, field);
    frame.after(where);
    fields.set(field, { numbers, where, count: 0, wrong: new Set() });
    field.addEventListener("scroll", () => { numbers.scrollTop = field.scrollTop; });
    field.addEventListener("input", () => refresh(field));
    refresh(field);
  };

  const refresh = (field, wrong) => {
    const state = fields.get(field);
    const count = field.value.split("\n").length;
    if (count !== state.count || wrong) {
      state.count = count;
      state.wrong = wrong || state.wrong;
      const marked = [...state.wrong].filter((line) => line >= 1 && line <= count).sort((one, other) => one - other);
      const parts = [];
      let next = 1;
      const upTo = (last) => { if (next <= last) parts.push(Array.from({ length: last - next + 1 }, (_, index) => next + index).join("\n") + "\n"); };
      marked.forEach((line) => {
        upTo(line - 1);
        const mark = document.createElement("mark");
        mark.textContent = line;
        parts.push(mark, "\n");
        next = line + 1;
      });
      upTo(count);
      state.numbers.replaceChildren(...parts, "\n\n"); // the field's own scroll bar makes it scroll further
      state.numbers.style.setProperty("--rg-digits", Math.max(2, String(count).length));
    }
    state.numbers.scrollTop = field.scrollTop;
    place(field);
  };

  const place = (field) => {
    const { where, count } = fields.get(field);
    const before = lineAt(field);
    // errors count characters, the browser counts halves of some of them
    where.textContent = `Line ${before.length} of ${count}, column ${[...before.at(-1)].length + 1}`;
  };

  const goTo = (field, line, column) => {
    const lines = field.value.split("\n");
    const row = Math.min(line, lines.length) - 1;
    const start = lines.slice(0, row).reduce((sum, text) => sum + text.length + 1, 0);
    const at = start + [...lines[row]].slice(0, column - 1).join("").length;
    const height = parseFloat(getComputedStyle(field).lineHeight) || 20;
    field.focus({ preventScroll: true });
    field.setSelectionRange(at, at);
    field.scrollTop = Math.max(0, (row - 3) * height);
    // the preview may cover the lower half of the window
    const top = field.getBoundingClientRect().top + row * height - field.scrollTop;
    if (top < 90 || top > window.innerHeight * 0.4) window.scrollBy(0, top - window.innerHeight * 0.25);
    refresh(field);
  };

  const goButton = (field, line, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "rg-goto";
    Object.assign(button.dataset, { goto: field.id, line, column });
    button.textContent = `Go to line ${line}`;
    return button;
  };

  // what a refused save says of a field gets its button here; what the preview says has one
  const linkErrors = (field) => {
    const row = field.closest(".form-row, .field-row, [class*=field-]") || field.form;
    const wrong = new Set();
    row.querySelectorAll(".errorlist li, .text-red-600, .rg-field-error").forEach((error) => {
      const found = !error.querySelector("li, button") && error.textContent.match(/\bline (\d+), column (\d+)(?! of the output)/i);
      if (!found) return;
      wrong.add(Number(found[1]));
      error.append(" ", goButton(field, found[1], found[2]));
    });
    if (wrong.size) refresh(field, wrong);
  };

  const showFault = (shown) => {
    const fault = shown.querySelector(".rg-fault");
    const block = fault && fault.closest("pre");
    if (block) block.scrollTop += fault.getBoundingClientRect().top - block.getBoundingClientRect().top - block.clientHeight / 2;
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("textarea[data-numbered]").forEach((field) => { number(field); linkErrors(field); });
    showFault(document);
  });
  window.addEventListener("pageshow", () => fields.forEach((_, field) => refresh(field))); // going back brings back what was written
  document.addEventListener("selectionchange", () => { if (fields.has(document.activeElement)) place(document.activeElement); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-goto]");
    const field = button && document.getElementById(button.dataset.goto);
    if (fields.has(field)) goTo(field, Number(button.dataset.line), Number(button.dataset.column));
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const shown = event.detail.target;
    fields.forEach((_, field) => {
      const named = [...shown.querySelectorAll("[data-goto]")].filter((button) => button.dataset.goto === field.id);
      if (shown.id === "rg-payload-preview") refresh(field, new Set(named.map((button) => Number(button.dataset.line))));
    });
    showFault(shown);
  });
})();
