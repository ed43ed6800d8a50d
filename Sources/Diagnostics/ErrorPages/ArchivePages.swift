// Pages of the areas `path`, `archive`, `pickle` and `gguf`: how foreign files try to harm, or fail to be read.

extension ErrorPage {
    static let pathPages: [ErrorPage] = [
        .error(
            .pathAbsolute, cause: "A member of the archive has an absolute name.", example: "/tmp/evil",
            remedy: "Pack the folder again with relative names: `tar -C FOLDER -cf x.tar .`"),
        .error(
            .pathDotdot, cause: "A name contains `..` and leaves its folder.", example: "../evil",
            remedy: "Do not trust this archive; pack it again from its own folder."),
        .error(
            .pathSymlink,
            cause: "A symbolic link stands where a file is expected. Links can point anywhere, so none is followed.",
            example: "adapter_model.safetensors -> ../../x",
            remedy: "Copy the file itself (`cp -L`); Hub caches hold links."),
        .error(
            .pathHardlink, cause: "The archive holds a hard link.", example: "copy link to /etc/passwd",
            remedy: "Pack again with `tar --hard-dereference`."),
        .error(
            .pathSpecialFile, cause: "A device, pipe or socket stands where a file is expected.",
            example: "a named pipe",
            remedy: "Replace it with a regular file."),
        .error(
            .pathBadName, cause: "A name is not UTF-8, is empty, or holds control characters or backslashes.",
            example: "..\\evil in a ZIP", remedy: "Rename the file and pack again."),
        .error(
            .pathTooLong, cause: "A name is longer than any file system keeps.",
            example: "a member name of 5,000 bytes",
            remedy: "Shorten it and pack again."),
        .error(
            .pathDuplicate,
            cause: "Two members have one name: the one that was inspected may not be the one that is used.",
            example: "adapter_model.safetensors twice", remedy: "Pack again with one of them."),
        .error(
            .pathCaseCollision, cause: "Two names differ in case only and would be one file on some systems.",
            example: "Adapter_Config.json beside adapter_config.json", remedy: "Rename or remove one of them."),
    ]

    static let archivePages: [ErrorPage] = [
        .error(
            .archiveTruncated, cause: "The archive or its compressed stream ends early.",
            example: "a download that stopped",
            remedy: "Fetch the archive again."),
        .error(
            .archiveCorrupt, cause: "The archive contradicts its own check sums or structure.",
            example: "gzip CRC differs",
            remedy: "Fetch the archive again."),
        .error(
            .archiveEmpty, cause: "The archive holds no file.", example: "a tar of 1,024 zero bytes",
            remedy: "Pack it again."),
        .error(
            .archiveUnknownFormat, cause: "The file is neither a weight file nor an archive of a known format.",
            example: "lorabank import notes.txt", remedy: "Name a folder, a .safetensors file, or a tar or ZIP archive."
        ),
        .error(
            .archiveBomb,
            cause: "The archive grows beyond a hundredfold when unpacked: it is made to exhaust disk or memory.",
            example: "2 GiB of zeros in 2 MiB", remedy: "Do not use it. A genuine adapter hardly compresses at all."),
        .error(
            .archiveTooLarge, cause: "The unpacked files exceed the size limit of the bank.",
            example: "a whole model packed beside its adapter", remedy: "Pack the adapter alone."),
        .error(
            .archiveTooManyEntries, cause: "The archive has more members than any adapter needs.",
            example: "100,000 empty files", remedy: "Pack the adapter alone."),
        .error(
            .archiveEncrypted, cause: "The archive is encrypted.", example: "a ZIP with a password",
            remedy: "Decrypt it first and import the plain files."),
        .error(
            .archiveNested, cause: "The archive holds archives instead of files.", example: "x.tar.gz inside y.zip",
            remedy: "Unpack the outer archive and import the inner ones."),
        .error(
            .archiveAmbiguous, cause: "The archive holds several adapters, and one was asked for.",
            example: "a/adapter_config.json and b/adapter_config.json",
            remedy: "Unpack it and import the folder: every adapter below is found."),
        .error(
            .pickleRefused, cause: "The weights are a Python pickle. Reading one can run any program, so none is read.",
            example: "adapter_model.bin",
            remedy: "In an environment that may be lost, load it with `weights_only=True` and save it with safetensors."
        ),
        .error(
            .pickleForbiddenOpcode, cause: "The pickle holds an instruction that plain tensors never need.",
            example: "REDUCE on os.system", remedy: "Do not load this file with any program."),
        .error(
            .pickleForbiddenGlobal, cause: "The pickle names a function outside the short list that tensors need.",
            example: "os.mkdir", remedy: "Do not load this file with any program."),
    ]

    static let ggufPages: [ErrorPage] = [
        .error(
            .ggufBadMagic, cause: "The file does not begin with GGUF.", example: "GGUX", remedy: "Fetch the file again."
        ),
        .error(
            .ggufBadCount, cause: "More keys or tensors are declared than the file could hold.",
            example: "2^60 keys in 24 bytes", remedy: "Do not use this file."),
        .error(
            .ggufBadString, cause: "A text is declared longer than the file.", example: "a key of 2^64 - 1 bytes",
            remedy: "Do not use this file."),
        .error(
            .ggufBadType, cause: "A value or tensor type is unknown.", example: "tensor type 4000",
            remedy: "Convert the adapter to F32 or F16."),
        .error(
            .ggufBadShape, cause: "A tensor has too many dimensions, or they overflow.", example: "9 dimensions",
            remedy: "Convert the adapter again."),
        .error(
            .ggufBadOffset, cause: "A tensor lies outside the file or is not aligned.",
            example: "offset behind the end",
            remedy: "Fetch the file again."),
        .error(
            .ggufBadVersion, cause: "The GGUF version is not 2 or 3.", example: "version 99",
            remedy: "Convert the adapter with a current llama.cpp."),
        .error(
            .ggufNotAnAdapter, cause: "The file is a whole model, not an adapter.", example: "general.type = model",
            remedy: "Name the file that the LoRA conversion wrote."),
    ]
}
