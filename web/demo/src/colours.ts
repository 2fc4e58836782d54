/**
 * The colours of the style sheet, as canvases need them: resolved, and anew when the scheme changes.
 */

/** Roles that canvases draw with; each is a custom property of the same name. */
const ROLES = ["accent", "cache", "ink", "ink-soft", "line", "missing", "origin", "peer", "refused", "seeder", "surface", "upload"] as const;

export type Role = (typeof ROLES)[number];
export type Palette = Readonly<Record<Role, string>>;

let palette: Palette | null = null;
const listeners = new Set<() => void>();

/** The colours as they are now. */
export function colours(): Palette {
  if (palette) return palette;
  // `light-dark()` in a custom property is resolved only where it is used.
  const probe = document.body.appendChild(document.createElement("i"));
  const resolved = ROLES.map((role) => {
    probe.style.color = `var(--${role})`;
    return [role, getComputedStyle(probe).color] as const;
  });
  probe.remove();
  return (palette = Object.fromEntries(resolved) as Record<Role, string>);
}

/** Calls `listener` when the colours become others. */
export function onColours(listener: () => void): void {
  listeners.add(listener);
}

function change(): void {
  palette = null;
  for (const listener of listeners) listener();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);

/** The button that goes through: as the system, light, dark. The choice is kept in this browser. */
export function bindTheme(button: HTMLButtonElement): void {
  const show = (theme: Theme): void => {
    if (theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    button.setAttribute("aria-label", `Colours: ${THEMES[theme]}`);
    button.title = `Colours: ${THEMES[theme]}`;
    change();
  };
  let theme = stored();
  show(theme);
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    localStorage.setItem(KEY, theme);
    show(theme);
  });
}

type Theme = "dark" | "light" | "system";

const KEY = "headwater-theme";
const THEMES = { system: "as the system", light: "light", dark: "dark" } as const;
const NEXT = { system: "light", light: "dark", dark: "system" } as const;

function stored(): Theme {
  const text = localStorage.getItem(KEY);
  return text === "light" || text === "dark" ? text : "system";
}
