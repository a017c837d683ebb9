/** Edits of the demo's manifest, as a person would make them in an editor: comments stay. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { parseAllDocuments, type Document } from "yaml";

export class Manifest {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Sets a field of a RealServer's spec. @throws Error when there is no such object */
  setRealServer(name: string, field: string, value: unknown): void {
    this.#edit((documents) => {
      const document = documents.find(
        (d) => d.get("kind") === "RealServer" && d.getIn(["metadata", "name"]) === name,
      );
      if (document === undefined) throw new Error(`no RealServer ${name} in ${this.path}`);
      document.setIn(["spec", field], value);
    });
  }

  /** Adds a RealServer like the first one. */
  addRealServer(name: string, address: string): void {
    this.#edit((documents) => {
      const model = documents.find((d) => d.get("kind") === "RealServer");
      if (model === undefined) throw new Error(`no RealServer in ${this.path}`);
      const added = model.clone();
      added.setIn(["metadata", "name"], name);
      added.set("spec", added.createNode({ address }));
      documents.push(added);
    });
  }

  /** Written beside and renamed, as editors do: nobody reads half a file. */
  #edit(change: (documents: Document[]) => void): void {
    const documents = [...parseAllDocuments(readFileSync(this.path, "utf8"))] as Document[];
    change(documents);
    const text = documents
      .map((document) => document.toString().replace(/^---\n/, ""))
      .join("---\n");
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
  }
}
