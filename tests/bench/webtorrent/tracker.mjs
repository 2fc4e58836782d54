// npm's bittorrent-tracker on the port it is told, WebSockets alone.
import { Server } from "bittorrent-tracker";

const server = new Server({ udp: false, http: false, ws: true, stats: false });
server.on("warning", () => {});
server.listen(Number(process.argv[2]), "127.0.0.1");
