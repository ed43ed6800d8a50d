import Digests
import WeightFiles

/// A recipe with everything resolved that the adapters decide, in a canonical form with a digest.
///
/// The JSON is itself a recipe (JSON is YAML): adapters of a bank stand as `id:<hex>`, tags are expanded, `--set`
/// options are worked in, keys with their default are left out. Canonical: sorted keys, no white space, UTF-8.
public struct ResolvedRecipe: Sendable {
    public let json: JSONValue

    /// The canonical text.
    public var text: String { json.text(.compact, sortKeys: true, asciiOnly: false) }

    /// SHA-256 of ``text``.
    public var digest: SHA256Digest { .of(text) }
}
