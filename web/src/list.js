// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What is announced, as a live list of links.

/** Keeps @p list in step with the announcements of @p connection; @p empty shows when there are none. */
export class BroadcastList {
  #items = new Map();
  #list;
  #empty;
  #href;

  constructor({ connection, list, empty, href }) {
    this.#list = list;
    this.#empty = empty;
    this.#href = href;
    void this.#run(connection.announced());
  }

  async #run(announced) {
    for (;;) {
      const event = await announced.next();
      if (!event) return;
      if (event.active) this.#add(event.path);
      else this.#remove(event.path);
      this.#empty.hidden = this.#items.size > 0;
    }
  }

  #add(name) {
    if (this.#items.has(name)) return;
    const link = document.createElement("a");
    link.href = this.#href(name);
    link.dataset.view = "watch";
    link.dataset.name = name;
    link.textContent = name === "" ? "(unnamed)" : name;
    const item = document.createElement("li");
    item.append(link);
    const next = [...this.#items.keys()].filter((other) => other > name).sort()[0];
    this.#list.insertBefore(item, next === undefined ? null : this.#items.get(next));
    this.#items.set(name, item);
  }

  #remove(name) {
    this.#items.get(name)?.remove();
    this.#items.delete(name);
  }
}
