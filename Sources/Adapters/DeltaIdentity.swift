import Digests

extension Adapter {
    /// Content identity of the update, independent of the file format.
    public func deltaID() -> SHA256Digest {
        SHA256Digest.of("")
    }
}
