"use strict";
(() => {
  const PAGE = 25;
  // Of more characters a cell keeps some width, so that its text does not stand in a column of single words.
  const LONG = 24;
  const SIGNS = { "+": ["add", "added"], "-": ["del", "removed"], "~": ["mod", "modified"] };
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const shown = (value) => {
    const element = make("bdi", value === null ? "NULL" : value === "" ? "\u201c\u201d" : String(value));
    if (value === null || value === "") element.className = "null";
    return element;
  };
  const number = (count) => count.toLocaleString("en");
  // What a cell is sorted by: of a modified one, what it is now, or was if its column is gone.
  const key = (cell, state) => (Array.isArray(cell) ? cell[state === "gone" ? 0 : 1] : cell);
  const compare = (one, other) => {
    if (one === other) return 0;
    if (one === null || one === undefined) return 1;
    if (other === null || other === undefined) return -1;
    if (typeof one === "number" && typeof other === "number") return one - other;
    return String(one).localeCompare(String(other), undefined, { numeric: true });
  };
  const textOf = (row) => row.flat().map((cell) => (cell === null ? "null" : String(cell))).join("\n").toLowerCase();

  const view = (place, data) => {
    const name = `table ${Number(place.dataset.table) + 1}`;
    const headers = ["", ...data.columns, "Old value written by"];
    const hasWriters = data.rows.some((row) => row[row.length - 1]);
    if (!hasWriters) headers.pop();
    let found = data.rows.slice();
    let sorted = { column: -1, down: false };
    let page = 0;
    const texts = new Map();

    const bar = make("div", undefined, "bar");
    const search = make("input");
    search.type = "search";
    search.placeholder = "Search the rows";
    search.setAttribute("aria-label", `Search the rows of ${name}`);
    const back = make("button", "Previous");
    const on = make("button", "Next");
    back.type = on.type = "button";
    const status = make("span", undefined, "quiet");
    status.setAttribute("role", "status");
    bar.append(search, back, on, status);

    const scroll = make("div", undefined, "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `Rows of ${name} that differ`);
    const table = make("table");
    const head = make("tr");
    const cells = headers.map((header, column) => {
      const cell = make("th");
      cell.scope = "col";
      const button = make("button", column ? header : "Kind");
      button.type = "button";
      button.dir = "auto";
      const state = data.states[column - 1];
      if (state) button.append(make("span", ` ${state}`, `state ${state}`));
      button.addEventListener("click", () => {
        sorted = { column, down: sorted.column === column && !sorted.down };
        page = 0;
        arrange();
      });
      cell.append(button);
      head.append(cell);
      return cell;
    });
    const body = make("tbody");
    const thead = make("thead");
    thead.append(head);
    table.append(thead, body);
    scroll.append(table);
    place.replaceChildren(bar, scroll);

    const arrange = () => {
      const wanted = search.value.toLowerCase();
      found = data.rows.filter((row) => {
        if (!wanted) return true;
        if (!texts.has(row)) texts.set(row, textOf(row.slice(1)));
        return texts.get(row).includes(wanted);
      });
      const { column, down } = sorted;
      const state = data.states[column - 1];
      if (column >= 0) {
        found.sort((a, b) => compare(key(a[column], state), key(b[column], state)) * (down ? -1 : 1));
      }
      cells.forEach((cell, place) => {
        cell.setAttribute("aria-sort", place !== column ? "none" : down ? "descending" : "ascending");
      });
      draw();
    };

    const draw = () => {
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      page = Math.min(Math.max(page, 0), pages - 1);
      back.disabled = page === 0;
      on.disabled = page === pages - 1;
      status.textContent = `Page ${page + 1} of ${pages}, ${number(found.length)} of ${number(data.rows.length)} rows`;
      body.replaceChildren(
        ...found.slice(page * PAGE, page * PAGE + PAGE).map((row) => {
          const line = make("tr", undefined, SIGNS[row[0]][0]);
          const sign = make("td", row[0]);
          sign.append(make("span", SIGNS[row[0]][1], "hidden"));
          line.append(sign);
          row.slice(1, headers.length).forEach((cell, place) => {
            const box = make("td", undefined, place < data.keys ? "k" : "");
            const state = data.states[place];
            const isWriter = hasWriters && place === headers.length - 2;
            if (isWriter) {
              box.className = "writer";
              box.append(make("bdi", cell));
            } else if (place < data.keys) box.append(shown(cell));
            else if (state === (row[0] === "+" ? "gone" : row[0] === "-" ? "new" : undefined)) {
              // The row is not of the table that has the column.
            } else if (row[0] !== "~") {
              const changed = make(row[0] === "+" ? "ins" : "del");
              changed.append(shown(cell));
              box.append(changed);
            } else if (Array.isArray(cell)) {
              const was = make("del"), is = make("ins");
              was.append(shown(cell[0]));
              is.append(shown(cell[1]));
              // A column that is there on one side alone has nothing on the other, not even NULL.
              if (state) box.append(state === "gone" ? was : is);
              else box.append(was, " \u2192 ", is);
            }
            if (!isWriter && box.textContent.length > LONG) box.classList.add("long");
            line.append(box);
          });
          return line;
        }),
      );
    };

    search.addEventListener("input", () => { page = 0; arrange(); });
    back.addEventListener("click", () => { page -= 1; draw(); });
    on.addEventListener("click", () => { page += 1; draw(); });
    arrange();
  };

  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  const all = JSON.parse(document.getElementById("data").textContent);
  document.querySelectorAll(".rows").forEach((place) => view(place, all[Number(place.dataset.table)]));
})();
