import Diagnostics

/// How one generation of files spells module names.
public struct SiteNaming: Sendable {
    /// `hf4`, `hf5`, `timm`, `hf`.
    public let name: String
    /// What may stand before the layer list, the usual one first: `vit.`, empty.
    public let roots: [String]
    /// `encoder.layer.`, `blocks.`
    public let layers: String
    public let modules: [SiteKind: String]
}

/// Module names of adapters ↔ canonical sites, for every spelling that a family knows.
public struct SiteMap: Sendable {
    public let namings: [SiteNaming]

    /// The site that a module name means (without `base_model.model.`), nil when it is no adaptable linear.
    public func site(forModule name: String) -> SiteID? {
        for naming in namings {
            for root in naming.roots where name.hasPrefix(root + naming.layers) {
                let rest = name.dropFirst(root.count + naming.layers.count)
                guard let dot = rest.firstIndex(of: "."), let layer = Int(rest[..<dot]), layer >= 0 else { continue }
                let module = rest[rest.index(after: dot)...]
                let kinds = naming.modules.filter { $0.value == module }.map(\.key)
                if let kind = kinds.min(by: { $0.rawValue < $1.rawValue }) { return SiteID(layer: layer, kind: kind) }
            }
        }
        return nil
    }

    /// The module that carries a site in a spelling; nil when that spelling has none (q in timm, qkv elsewhere).
    ///
    /// - Parameter root: what stands before the layer list; nil takes the usual one.
    public func module(for site: SiteID, naming: String, root: String? = nil) -> String? {
        guard let naming = namings.first(where: { $0.name == naming }), let module = naming.modules[site.kind] else {
            return nil
        }
        return (root ?? naming.roots.first ?? "") + naming.layers + "\(site.layer)." + module
    }

    public func naming(_ name: String) -> SiteNaming? { namings.first { $0.name == name } }
}
