/** What a host plan has to say to people: nothing here is an error of the plan itself. */

export type HostReportKind =
  | "sysctl-drift" // somebody changed a setting we need: set again
  | "sysctl-foreign" // somebody changed a setting we no longer need: left alone
  | "sysctl-impossible" // `all` overrides whatever the interface says
  | "sysctl-missing" // this kernel or interface has no such setting
  | "sysctl-conflict" // the other agent of this node needs another value
  | "address-drift" // somebody took an address of ours away: added again
  | "address-foreign" // the address was there before: used as it is, never removed
  | "address-replaced" // our address is now somebody else's: left alone
  | "address-blocked" // not added, because its settings cannot be made
  | "link-drift" // somebody took a device of ours down: brought up again
  | "link-missing" // a device that must exist does not
  | "link-kind" // a device of that name exists and is of another kind
  | "link-kept"; // not taken down again, because it has addresses that are not ours

/** One statement. `subject` is a sysctl id, an address with its interface, or a device. */
export interface HostReport {
  readonly kind: HostReportKind;
  readonly subject: string;
  /** For a person: what is so, and what to do about it where something can be done. */
  readonly message: string;
}
