// Names of sessions that other sites have: `desk@north`. No session's own name has an @.

/** The other site that has the session; empty: this one. */
export function siteOf(name: string): string {
  const at = name.indexOf("@");
  return at < 0 ? "" : name.slice(at + 1);
}

/** What the session is called at its own site. */
export function sessionOf(name: string): string {
  return name.split("@")[0] ?? name;
}

/** The name here of a session that a site, or this one, has. */
export function atSite(session: string, site: string): string {
  return site === "" ? session : `${sessionOf(session)}@${site}`;
}

/** Of a session that was started for its user what starts it again. */
export function applicationOf(name: string): string {
  return atSite(sessionOf(name).split(".")[0] ?? name, siteOf(name));
}
