/** What the page's parts are told of: the film that is open, and each new set of figures. */
import type { Stats, Torrent, TorrentFile } from "headwater";

/** A torrent that is open in this page. */
export interface Film {
  readonly torrent: Torrent;
  /** What was opened: a magnet link or an address; the magnet link for what this tab gives. */
  id: string;
  /** Whether its bytes are this tab's own. */
  readonly isOurs: boolean;
  /** What plays. */
  file: TorrentFile | null;
}

/** A part of the page that shows the film. Parts know nothing of each other. */
export interface View {
  /** A film was opened; nothing is known of it yet. */
  open?(film: Film): void;
  /** Name and files are known. */
  know?(film: Film): void;
  /** New figures, twice a second. */
  update?(film: Film, stats: Stats): void;
  /** The film is gone. */
  close?(): void;
}

/** The torrent's name among swarms: the same in every page. */
export function swarmOf({ torrent }: Pick<Film, "torrent">): string {
  return torrent.infoHashV1 ?? torrent.infoHashV2 ?? "";
}
