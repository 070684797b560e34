/* Makes a page live that is whole without this: renews what is marked as live, sorts and filters
 * tables.  The server escapes all names; here they are only moved about as nodes, or set as
 * text, so nothing in them is ever read as HTML again. */
"use strict";

(() => {
  const main = document.getElementById("main");
  if (main === null) {
    return;
  }
  const every = Number(main.dataset.every || 0) * 1000;
  const sorts = new Map(); // id of a table -> {column, direction}
  const PATIENCE = 15000;
  let paused = false;
  let failures = 0;
  let busy = false;

  document.documentElement.classList.add("live");

  // -- what the page says of itself

  const state = document.querySelector(".state");
  const says = document.createElement("span");
  says.id = "says";
  says.setAttribute("role", "status"); // read out, politely, when it changes
  const tells = document.createElement("span"); // read out only
  tells.className = "unseen";
  tells.setAttribute("role", "status");
  document.body.append(tells);
  const pause = document.createElement("button");
  pause.type = "button";
  pause.className = "link";
  pause.id = "pause";
  pause.textContent = "Pause";
  if (state !== null && every > 0) {
    state.prepend(says);
    state.append(pause);
  }

  function say(text) {
    if (says.textContent !== text) {
      says.textContent = text;
    }
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    say(paused ? "Paused." : "");
    if (!paused) {
      renew();
    }
  });

  // -- renewing

  function isTyping() {
    const at = document.activeElement;
    return at !== null && main.contains(at) && at.closest("form") !== null && !at.dataset.filter;
  }

  function isSelecting() {
    const selection = window.getSelection();
    return selection !== null && !selection.isCollapsed && main.contains(selection.anchorNode);
  }

  async function renew(asked = false) {
    if (busy || (asked !== true && (paused || document.hidden))) {
      return;
    }
    busy = true;
    const address = location.href;
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE);
    try {
      const answer = await fetch(address, {
        headers: { Accept: "text/html" },
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        signal: stop.signal,
      });
      if (!answer.ok) {
        failures += 1;
        say(
          answer.status === 404
            ? "Not there any more: go back to the list, or open the URL that the server printed."
            : `The server answers ${answer.status}.`,
        );
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      failures = 0;
      if (address === location.href) {
        take(page, asked === true);
      }
    } catch {
      failures += 1;
      if (failures > 1) {
        say("Server gone: open the URL that it printed when it started.");
      }
    } finally {
      clearTimeout(timer);
      busy = false;
      if (address !== location.href) {
        renew(true); // the filter changed meanwhile
      }
    }
  }

  function take(page, asked) {
    const fresh = page.getElementById("main");
    if (fresh === null) {
      return;
    }
    if (!asked && (paused || isSelecting() || isTyping())) {
      return;
    }
    if (fresh.dataset.pid !== main.dataset.pid) {
      say(`Another worker answered, process ${fresh.dataset.pid}: these are its figures.`);
      main.dataset.pid = fresh.dataset.pid;
      replace(main, fresh);
      const worker = document.querySelector(".worker");
      const other = page.querySelector(".worker");
      if (worker !== null && other !== null) {
        worker.replaceChildren(...document.importNode(other, true).childNodes);
      }
    } else {
      say(paused ? "Paused." : "");
      update(fresh);
    }
    const steps = document.getElementById("steps");
    const told = steps === null ? "" : steps.textContent;
    if (tells.textContent !== told) {
      tells.textContent = told;
    }
    const asOf = document.getElementById("as-of");
    const now = page.getElementById("as-of");
    if (asOf !== null && now !== null) {
      asOf.textContent = now.textContent;
    }
  }

  function update(fresh) {
    const old = [...main.querySelectorAll("[data-live][id]")];
    const young = [...fresh.querySelectorAll("[data-live][id]")];
    const same =
      old.length === young.length && old.every((part, at) => part.id === young[at].id);
    if (!same) {
      replace(main, fresh);
      return;
    }
    old.forEach((part, at) => {
      if (!part.isEqualNode(young[at])) {
        replace(part, young[at]);
      }
    });
  }

  /* Puts the children of one in the place of another's, and keeps what the visitor did. */
  function replace(part, fresh) {
    const focus = focused(part);
    const opened = [...part.querySelectorAll("details")].map((one) => one.open);
    const scrolled = [...part.querySelectorAll(".wide")].map((one) => one.scrollLeft);
    const typed = new Map(
      [...part.querySelectorAll("input[id], select[id]")].map((one) => [one.id, one.value]),
    );
    part.replaceChildren(...document.importNode(fresh, true).childNodes);
    part.querySelectorAll("details").forEach((one, at) => {
      one.open = opened[at] || false;
    });
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (field !== null) {
        field.value = value;
      }
    }
    prepare(part);
    part.querySelectorAll(".wide").forEach((one, at) => {
      one.scrollLeft = scrolled[at] || 0;
    });
    if (focus !== null) {
      const again = focus(part);
      if (again) {
        again.focus({ preventScroll: true });
      }
    }
  }

  /* How to find again what has the focus; null if nothing in the part has it. */
  function focused(part) {
    const at = document.activeElement;
    if (at === null || at === document.body || !part.contains(at) || at === part) {
      return null;
    }
    if (at.id) {
      return () => document.getElementById(at.id);
    }
    const table = at.closest("table");
    if (at.classList.contains("sort") && table !== null) {
      const column = at.parentElement.cellIndex;
      return () => {
        const again = document.getElementById(table.id);
        return again ? again.tHead.rows[0].cells[column].querySelector("button") : null;
      };
    }
    if (at.matches("a[href]")) {
      const href = at.getAttribute("href");
      return (now) =>
        [...now.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === href);
    }
    const alike = [...part.querySelectorAll(at.tagName)];
    const number = alike.indexOf(at);
    return (now) => now.querySelectorAll(at.tagName)[number];
  }

  // -- tables

  function value(cell) {
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  }

  function compare(one, other) {
    if (typeof one === "number" && typeof other === "number") {
      return one - other;
    }
    return String(one).localeCompare(String(other), undefined, { numeric: true });
  }

  function sort(table, column, direction) {
    const rows = [...table.tBodies[0].rows];
    const keys = new Map(rows.map((row) => [row, value(row.cells[column])]));
    rows.sort((one, other) => direction * compare(keys.get(one), keys.get(other)));
    table.tBodies[0].replaceChildren(...rows);
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      if (at === column) {
        head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      } else {
        head.removeAttribute("aria-sort");
      }
    });
  }

  function makeSortable(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!("sort" in head.dataset) || head.querySelector("button") !== null) {
        return;
      }
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = head.textContent;
      button.addEventListener("click", () => {
        const before = sorts.get(table.id);
        // Numbers are looked at from the largest on, names from the first.
        let direction = head.classList.contains("right") ? -1 : 1;
        if (before !== undefined && before.column === column) {
          direction = -before.direction;
        }
        sorts.set(table.id, { column, direction });
        sort(table, column, direction);
      });
      head.replaceChildren(button);
    });
    const chosen = sorts.get(table.id);
    if (chosen !== undefined) {
      sort(table, chosen.column, chosen.direction);
    }
  }

  function filter(field) {
    const table = document.getElementById(field.dataset.filter);
    if (table === null) {
      return;
    }
    const text = field.value.trim().toLowerCase();
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(text);
    }
  }

  function prepare(part) {
    part.querySelectorAll("table.sortable").forEach(makeSortable);
    document.querySelectorAll("[data-filter]").forEach(filter);
  }

  /* At once among the rows that are here; then among all, which the server has. */
  let later;
  document.querySelectorAll("[data-filter]").forEach((field) => {
    field.addEventListener("input", () => {
      filter(field);
      clearTimeout(later);
      later = setTimeout(() => {
        const address = new URL(location.href);
        address.searchParams.set(field.name, field.value.trim());
        if (field.value.trim() === "") {
          address.searchParams.delete(field.name);
        }
        history.replaceState(null, "", address);
        renew(true);
      }, 300);
    });
  });
  prepare(main);

  if (every > 0) {
    setInterval(renew, every);
    document.addEventListener("visibilitychange", renew);
  }
})();
