import { Headwater } from "headwater";

const video = document.querySelector("video");
const id = location.hash.slice(1);
if (video && id) {
  const torrent = new Headwater().add(id);
  void torrent.ready.then(({ files }) => files[0]?.streamTo(video));
}
