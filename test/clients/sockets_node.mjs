// Opens a WebSocket with sockets:app by node:http2 (RFC 8441), has two messages echoed, and
// prints the status, the first message, the length of the second, and the code at the end.

import { connect } from "node:http2";

const session = connect(process.argv[2], { rejectUnauthorized: false });
session.on("remoteSettings", (settings) => {
  if (!settings.enableConnectProtocol) throw new Error("no extended CONNECT");
  talk();
});

// frame masks with zeros: the payload is itself.
function frame(opcode, payload) {
  const size = Buffer.alloc(payload.length < 126 ? 2 : 10);
  size[0] = 0x80 | opcode;
  if (payload.length < 126) {
    size[1] = 0x80 | payload.length;
  } else {
    size[1] = 0x80 | 127;
    size.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([size, Buffer.alloc(4), payload]);
}

// unframe takes a frame from the start of bytes: its opcode, its payload and the rest.
function unframe(bytes) {
  if (bytes.length < 2) return null;
  let length = bytes[1];
  let at = 2;
  if (length === 126) {
    if (bytes.length < 4) return null;
    length = bytes.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return null;
    length = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  if (bytes.length < at + length) return null;
  return { opcode: bytes[0] & 15, payload: bytes.subarray(at, at + length), rest: bytes.subarray(at + length) };
}

function talk() {
  const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/echo", "sec-websocket-version": "13" });
  const said = [];
  let bytes = Buffer.alloc(0);
  stream.on("response", (fields) => {
    said.push(fields[":status"]);
    stream.write(frame(1, Buffer.from("hello")));
    stream.write(frame(2, Buffer.alloc(70000)));
  });
  stream.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let f = unframe(bytes); f; f = unframe(bytes)) {
      bytes = f.rest;
      if (f.opcode === 1) said.push(f.payload.toString());
      if (f.opcode === 2) {
        said.push(f.payload.length);
        stream.write(frame(8, Buffer.from([3, 232])));
      }
      if (f.opcode === 8) said.push(f.payload.readUInt16BE(0));
    }
  });
  stream.on("end", () => {
    console.log(said.join(" "));
    stream.end();
    session.close();
  });
}
