// Work that many events ask for, and that need not be done for each of them.

export class Pace {
  #work;
  #everyMs;
  #timer = null;
  #busy = false;
  #wanted = false;
  #over = false;
  #begunAt = -Infinity;

  /** `work()` is done at most once in so many milliseconds, and never twice at a time. */
  constructor(everyMs, work) {
    this.#everyMs = everyMs;
    this.#work = work;
  }

  /** Have it done once more from now on, as soon as its pace allows. */
  soon() {
    this.#wanted = true;
    if (this.#over || this.#busy || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#run(), Math.max(0, this.#begunAt + this.#everyMs - performance.now()));
  }

  end() {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  async #run() {
    this.#timer = null;
    this.#wanted = false;
    this.#busy = true;
    this.#begunAt = performance.now();
    try {
      await this.#work();
    } finally {
      this.#busy = false;
      if (this.#wanted) this.soon();
    }
  }
}
