extension TensorView {
    /// Gives the memory of a mapped tensor back to the system after a pass over it; the next access reads it again from
    /// the file. Keeps work over large files within a few tensors' worth of memory. Does nothing for tensors that are
    /// not mapped.
    public func releasePages() {
        guard let file = owner as? MappedFile, let start = file.bytes.baseAddress, let own = bytes.baseAddress else {
            return
        }
        let offset = own - start
        guard offset >= 0, offset + bytes.count <= file.bytes.count else { return }
        file.release(offset..<offset + bytes.count)
    }
}
