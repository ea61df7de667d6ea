// What is new: pushed by the manager, and where it has no room for one more stream looked for every two seconds.
// A line can die without a word, so now and then something is asked, too.
// Only while somebody can see it: a browser has six connections to one server for all of its tabs together, and each
// stream holds one of them.

const LOOK_EVERY_MS = 2000;
const LISTEN_AGAIN_MS = 30_000;
const LOOK_OVER_MS = 30_000;
const GATHER_MS = 80;

export class Live {
  #session;
  #listeners;
  #stream = null;
  #timer = null;
  #listening = null;
  #round = 0;
  #gathered = [];
  #over = false;
  #missed = false;

  /**
   * `onNews(events, missed)` gets what happened, or null where something may have, and whether nobody was listening for
   * a while; `onKind` how news come at present.
   */
  constructor(session, listeners) {
    this.#session = session;
    this.#listeners = listeners;
  }

  begin() {
    if (!this.#session.scopes.includes("read")) {
      this.#listeners.onKind("hidden");
      return;
    }
    document.addEventListener("visibilitychange", this.#onSight);
    this.#missed = document.hidden; // what is drawn before somebody looks nobody keeps up to date
    this.#onSight();
  }

  end() {
    this.#over = true;
    document.removeEventListener("visibilitychange", this.#onSight);
    this.#rest();
  }

  #onSight = () => {
    this.#rest();
    if (!document.hidden) this.#listen();
  };

  #rest() {
    this.#missed ||= this.#stream !== null;
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#listening);
    this.#round += 1;
  }

  #listen() {
    const stream = new EventSource("/events/stream");
    this.#stream = stream;
    stream.onopen = () => {
      this.#listeners.onKind("live");
      // What happened before it was open, or while there was none, it does not tell.
      this.#tellOfAll().catch(() => {});
      this.#lookOver(stream);
    };
    stream.onerror = () => {
      // A browser comes back by itself after a break, but not after an answer that is no stream.
      if (stream.readyState === EventSource.CLOSED) {
        clearTimeout(this.#timer);
        this.#look();
        this.#listening = setTimeout(this.#onSight, LISTEN_AGAIN_MS);
      } else this.#listeners.onKind("offline");
    };
    stream.onmessage = (message) => this.#gather(JSON.parse(message.data));
  }

  /** Look once in a while whether the manager answers; where it does not, the stream may be dead as well. */
  #lookOver(stream) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      const answers = await this.#tellOfAll().then(() => true, () => false);
      if (stream !== this.#stream) return;
      if (answers) this.#lookOver(stream);
      else {
        this.#listeners.onKind("offline");
        this.#onSight();
      }
    }, LOOK_OVER_MS);
  }

  #gather(event) {
    this.#gathered.push(event);
    if (this.#gathered.length === 1) {
      setTimeout(() => this.#listeners.onNews(this.#gathered.splice(0)).catch(() => {}), GATHER_MS);
    }
  }

  #tellOfAll() {
    const missed = this.#missed;
    this.#missed = false;
    return this.#listeners.onNews(null, missed);
  }

  async #look() {
    if (this.#over || document.hidden) return;
    const round = this.#round;
    const kind = await this.#tellOfAll().then(() => "polling", () => "offline");
    if (round !== this.#round) return;
    this.#listeners.onKind(kind);
    this.#timer = setTimeout(() => this.#look(), LOOK_EVERY_MS);
  }
}
