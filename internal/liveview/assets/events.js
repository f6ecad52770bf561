// The stream of events, for as long as the page is open. A front that ends, or a server that
// is upgraded, cuts it; then it is asked for again.

const silence = 10000; // milliseconds without an event after which a stream is dead: there is one a second
const longest = 15000; // between two attempts

// follow calls on.hello, on.past, on.sample and on.status with what comes, and on.state with
// open, lost (it is tried again) or full (the server has refused).
export function follow(url, on) {
  let source = null;
  let pause = 1000;
  let timer = 0;

  const later = (state) => {
    source?.close();
    on.state(state);
    clearTimeout(timer);
    timer = setTimeout(open, pause);
    pause = Math.min(pause * 2, longest);
  };
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => later('lost'), silence);
  };
  function open() {
    source = new EventSource(url);
    alive();
    for (const name of ['hello', 'past', 'sample', 'status']) {
      source.addEventListener(name, (event) => {
        alive();
        if (name === 'past') { // the second event of a stream
          pause = 1000;
          on.state('open');
        }
        on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener('error', (event) => later(event.target.readyState === EventSource.CLOSED ? 'full' : 'lost'));
  }
  open();
}
