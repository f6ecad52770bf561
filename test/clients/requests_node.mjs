// Makes requests of an echo app by node:http2 until its input ends: several at a time, and some
// after a pause. A request is made again only if the server has said that it was not begun
// (RFC 9113 section 8.7). It prints a line for each request: ok, or why it was lost.

import { connect, constants } from "node:http2";

const url = process.argv[2];
let session = null;
let last = 0;
let stopped = false;

function current() {
  if (session) return session;
  const s = connect(url, { rejectUnauthorized: false });
  const forget = () => {
    if (session === s) session = null;
  };
  s.on("goaway", (code, lastStream) => {
    s.lastStream = lastStream;
    forget();
  });
  s.on("close", forget);
  s.on("error", forget);
  session = s;
  return s;
}

// ask resolves to ok, to again, or to why the request was lost.
function ask(path) {
  return new Promise((done) => {
    const on = current();
    let stream;
    try {
      stream = on.request({ ":path": path });
    } catch (e) {
      return done(e.code === "ERR_HTTP2_GOAWAY_SESSION" || e.code === "ERR_HTTP2_INVALID_SESSION" ? "again" : String(e.code));
    }
    let status = 0;
    let body = "";
    let problem = null;
    stream.setEncoding("utf8");
    stream.on("response", (fields) => (status = fields[":status"]));
    stream.on("data", (chunk) => (body += chunk));
    stream.on("error", (e) => (problem = e));
    stream.on("close", () => {
      if (status === 200 && body === path + "\n") return done("ok");
      const notBegun = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || on.lastStream < stream.id;
      if (status === 0 && (notBegun || problem?.code === "ERR_HTTP2_GOAWAY_SESSION")) return done("again");
      done(`status ${status}, ${body.length} bytes, reset ${stream.rstCode}, ${problem}`);
    });
  });
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function loop(pause) {
  while (!stopped) {
    const path = "/load/node/" + ++last;
    let result = "again";
    for (let n = 0; n < 10 && result === "again"; n++) {
      result = await ask(path);
    }
    console.log(result);
    await sleep(pause);
  }
}

process.stdin.on("end", () => (stopped = true));
process.stdin.resume();
await Promise.all([loop(5), loop(5), loop(20), loop(700)]);
session?.close();
