/// Finds the number of the layer that a module belongs to.
///
/// It is the first component of the name that is a number and stands behind a known container (`layers`, `blocks`,
/// `h`, `layer`): `model.layers.3.mlp.fc1` → 3, `blocks.0.attn.qkv` → 0. With a pattern of the user it is the first
/// number whose part in front (without the dot) matches: `layer_pattern: "*.stages"` or `"re:stages$"`.
public struct LayerIndex: Sendable {
    public static let containers: Set<String> = ["layers", "blocks", "h", "layer"]

    private let pattern: ModulePattern?

    public init(pattern: ModulePattern? = nil) { self.pattern = pattern }

    /// nil for a module outside the layers.
    public func of(_ module: String) -> Int? {
        var seenContainer = false
        var end = module.startIndex
        for component in module.split(separator: ".", omittingEmptySubsequences: false) {
            if let number = LayerIndex.number(component) {
                if let pattern {
                    if pattern.matches(String(module[..<end])) { return number }
                } else if seenContainer {
                    return number
                }
            }
            if LayerIndex.containers.contains(String(component)) { seenContainer = true }
            end = component.endIndex
        }
        return nil
    }

    private static func number(_ component: Substring) -> Int? {
        guard !component.isEmpty, component.utf8.count <= 9, component.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int(component)
    }
}
