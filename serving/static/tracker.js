/* minutehand's tracker: sends views, impressions, clicks and searches of a shop's pages to POST /v1/events, by sendBeacon.

     <script defer src="/minutehand/tracker.js" data-key="mh_..." data-item="p1" data-user="u1"></script>

   data-key   a key with the role events; everybody can read it here, and it can read nothing
   data-item  the item of this page: its view is sent
   data-user  who is logged in; without it, only the session counts, an id in localStorage
   data-route if given, requests name the user or session in their query too, for a proxy before several servers

   An element with data-mh-item="p1" is an item of a list. When half of it was visible for a second, that is an impression;
   a press on it is a click, and before that second an impression too. data-mh-list around it is the recommendation_id of the list.
   The position is data-mh-position, or the place among the items of the list.

   If the browser asks not to be tracked (Global Privacy Control, Do Not Track), nothing is stored and nothing is sent. */
(() => {
  "use strict";
  const SESSION = "minutehand-session", AT_ONCE = 50, BYTES = 60000, AT_MOST = 1000, WAIT_MS = 2000, SEEN_MS = 1000;
  const { src, dataset: given } = document.currentScript;
  const isOff = navigator.globalPrivacyControl === true || [navigator.doNotTrack, window.doNotTrack].some((asks) => asks === "1" || asks === "yes");
  const nothing = () => {};
  const tracker = (window.minutehand = { isOff, user: given.user, session: null, track: nothing, view: nothing, search: nothing, flush: nothing });
  if (isOff || !navigator.sendBeacon) return;

  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const url = new URL("v1/events", src).href;
  const target = () => (given.route === undefined ? url : `${url}?user_id=${encodeURIComponent(tracker.user || tracker.session)}`);
  let waiting = [], timer = 0;
  try {
    tracker.session = localStorage.getItem(SESSION) || random();
    localStorage.setItem(SESSION, tracker.session);
  } catch {
    tracker.session ||= random(); // storage is forbidden here: a session of one page
  }

  // A browser takes at most 64 KB at once: half as many events until they fit.
  const beacon = (n = Math.min(AT_ONCE, waiting.length)) => {
    const body = new Blob([JSON.stringify({ key: given.key, events: waiting.slice(0, n) })], { type: "text/plain;charset=UTF-8" });
    return body.size <= BYTES || n === 1 ? [body, n] : beacon(n >> 1);
  };
  tracker.flush = () => {
    clearTimeout(timer);
    timer = 0;
    while (waiting.length) {
      const [body, n] = beacon();
      if (body.size <= BYTES && !navigator.sendBeacon(target(), body)) break; // the browser has too much to send now: next time
      waiting = waiting.slice(n); // one event alone that is too long for any beacon is lost
    }
    waiting = waiting.slice(-AT_MOST);
    if (waiting.length) timer = setTimeout(tracker.flush, WAIT_MS);
  };
  tracker.track = (event) => {
    waiting.push({ event_id: random(), user_id: tracker.user || undefined, session_id: tracker.session, ...event });
    timer ||= setTimeout(tracker.flush, WAIT_MS);
  };
  tracker.view = (item_id) => tracker.track({ event_type: "view", item_id });
  tracker.search = (query) => tracker.track({ event_type: "search", query });

  const shown = (element, event_type) => {
    const list = element.closest("[data-mh-list]");
    const position = +element.dataset.mhPosition || [...(list || document).querySelectorAll("[data-mh-item]")].indexOf(element) + 1;
    tracker.track({ event_type, item_id: element.dataset.mhItem, ...(list && { recommendation_id: list.dataset.mhList, position }) });
  };
  const counted = new WeakSet(), timers = new Map();
  const impress = (element) => {
    eyes.unobserve(element);
    timers.delete(element);
    if (!counted.has(element)) shown(element, "impression");
    counted.add(element);
  };
  const pressed = (event) => {
    const element = event.target.closest && event.target.closest("[data-mh-item]");
    if (!element || event.button > 1) return;
    clearTimeout(timers.get(element));
    impress(element);
    shown(element, "click");
    tracker.flush(); // the page may be left now
  };
  const eyes = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      clearTimeout(timers.get(target));
      timers.delete(target);
      if (isIntersecting) timers.set(target, setTimeout(impress, SEEN_MS, target));
    }
  }, { threshold: 0.5 });
  const look = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (node.matches("[data-mh-item]")) eyes.observe(node);
    node.querySelectorAll("[data-mh-item]").forEach((element) => eyes.observe(element));
  };
  const start = () => {
    if (given.item) tracker.view(given.item);
    look(document.documentElement);
    new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(look))).observe(document, { childList: true, subtree: true });
    for (const kind of ["click", "auxclick"]) addEventListener(kind, pressed, true);
    addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") tracker.flush(); }, true);
    addEventListener("pagehide", tracker.flush);
  };
  document.prerendering ? document.addEventListener("prerenderingchange", start, { once: true }) : start();
})();
