// What is new: pushed by the manager where the key may hear of all instances, else looked for every two seconds.

const LOOK_EVERY_MS = 2000;
const GATHER_MS = 80;

export class Live {
  #session;
  #listeners;
  #stream = null;
  #timer = null;
  #gathered = [];
  #over = false;

  /** `onNews(events)` gets what happened, or null where something may have; `onKind` how news come at present. */
  constructor(session, listeners) {
    this.#session = session;
    this.#listeners = listeners;
  }

  begin() {
    if (!this.#session.scopes.includes("read")) this.#listeners.onKind("hidden");
    else if (this.#session.instances === null) this.#listen();
    else this.#look();
  }

  end() {
    this.#over = true;
    this.#stream?.close();
    clearTimeout(this.#timer);
  }

  #listen() {
    this.#stream = new EventSource("/events/stream");
    this.#stream.onopen = () => {
      this.#listeners.onKind("live");
      // What happened before it was open, or while it was not, it does not tell.
      this.#listeners.onNews(null).catch(() => {});
    };
    this.#stream.onerror = () => {
      // A browser comes back by itself after a break, but not to a path that is not there.
      if (this.#stream.readyState === EventSource.CLOSED) this.#look();
      else this.#listeners.onKind("offline");
    };
    this.#stream.onmessage = (message) => this.#gather(JSON.parse(message.data));
  }

  #gather(event) {
    this.#gathered.push(event);
    if (this.#gathered.length === 1) {
      setTimeout(() => this.#listeners.onNews(this.#gathered.splice(0)).catch(() => {}), GATHER_MS);
    }
  }

  async #look() {
    if (this.#over) return;
    try {
      await this.#listeners.onNews(null);
      this.#listeners.onKind("polling");
    } catch {
      this.#listeners.onKind("offline");
    }
    this.#timer = setTimeout(() => this.#look(), LOOK_EVERY_MS);
  }
}
