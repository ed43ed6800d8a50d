/// What a module does, whatever its place in the stack: `model.layers.*.self_attn.q_proj`.
public enum ModuleRole {
    /// The module name with every path component that is a number replaced by `*`.
    public static func role(of name: String) -> String {
        name.split(separator: ".", omittingEmptySubsequences: false)
            .map { !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } ? "*" : String($0) }
            .joined(separator: ".")
    }
}
