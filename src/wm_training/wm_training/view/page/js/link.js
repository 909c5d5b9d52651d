// The connection: one WebSocket that comes back by itself. Every message is confirmed once it has
// been taken, which is what keeps the server from sending more than this page can draw.

const AGAIN_MS = 1000;
const ENDED = 1001; // the code with which a server says that it goes

/** Splits a message into its parts: name -> {about, data}; data is parsed JSON or bytes. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const parts = {};
  let at = 4 + length;
  for (const [name, size, about] of header) {
    const bytes = buffer.slice(at, at + size);
    parts[name] = { about, data: about.json ? JSON.parse(new TextDecoder().decode(bytes)) : bytes };
    at += size;
  }
  return parts;
}

/** Opens the connection; `on` has open(), lost(ended), parts(parts) and said(answer). Returns send(). */
export function connect(on) {
  let socket = null;
  let owed = 0; // confirmations held back while the page is hidden: nobody looks

  function confirm() {
    if (document.hidden) owed += 1;
    else socket.send('{"got":1}');
  }

  function open() {
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { owed = 0; on.open(); };
    socket.onmessage = (event) => {
      if (typeof event.data === "string") on.said(JSON.parse(event.data));
      else { on.parts(unpack(event.data)); confirm(); }
    };
    socket.onclose = (event) => { on.lost(event.code === ENDED); setTimeout(open, AGAIN_MS); };
  }

  document.addEventListener("visibilitychange", () => {
    while (!document.hidden && owed > 0 && socket.readyState === WebSocket.OPEN) {
      owed -= 1;
      socket.send('{"got":1}');
    }
  });
  open();
  return (request) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(request));
}
