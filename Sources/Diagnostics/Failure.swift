/// The error that every module throws for anything a user or a file can cause.
///
/// ```swift
/// throw Failure(
///     .adapterRankMismatch, "lora_A has 16 rows, the configuration says r = 8",
///     path: "adapter_model.safetensors", place: "model.layers.0.q_proj",
///     hint: "if the file is right, import with --trust-tensors to take the rank from the tensors")
/// ```
/// The strings may hold text that came from a file: they are escaped where they are printed, not here.
public struct Failure: Error, Hashable, Sendable {
    public var code: ErrorCode
    /// What happened, one sentence without a full stop.
    public var message: String
    /// The file or folder concerned, as the user named it.
    public var path: String?
    /// Where inside: a tensor, a key, `line 4, column 7`.
    public var place: String?
    /// The command or option that helps.
    public var hint: String?
    /// Further facts for programs, e.g. `["expected": "8", "found": "16"]`.
    public var details: [String: String]

    public init(
        _ code: ErrorCode, _ message: String, path: String? = nil, place: String? = nil, hint: String? = nil,
        details: [String: String] = [:]
    ) {
        self.code = code
        self.message = message
        self.path = path
        self.place = place
        self.hint = hint
        self.details = details
    }

    /// The same failure with `path` filled in where it was unknown.
    public func at(path: String) -> Failure {
        var copy = self
        if copy.path == nil { copy.path = path }
        return copy
    }
}
