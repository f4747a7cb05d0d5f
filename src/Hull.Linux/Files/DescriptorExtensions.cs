using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Files;

/// <summary>Whole reads and writes on open descriptors.</summary>
public static class DescriptorExtensions
{
    extension(SafeFd descriptor)
    {
        /// <summary>Reads to the end from the current position. More than <paramref name="limit"/> bytes are refused.</summary>
        public byte[] ReadToEnd(int limit = 64 << 20, string? name = null)
        {
            var buffer = new byte[Math.Min(limit + 1, 8192)];
            var length = 0;
            while (true)
            {
                if (length == buffer.Length) Array.Resize(ref buffer, (int)Math.Min((long)limit + 1, buffer.Length * 2L));
                var count = (int)Check.Result(FileCalls.Read(descriptor.Value, buffer.AsSpan(length)), $"read {name ?? descriptor.ToString()}");
                if (count == 0) return length == buffer.Length ? buffer : buffer[..length];
                length += count;
                if (length > limit)
                    throw new HullException(ErrorKind.ResourceExhausted, $"{name ?? descriptor.ToString()} is larger than {limit} bytes");
            }
        }

        /// <summary>Writes all bytes, continuing after short writes.</summary>
        public void WriteAll(ReadOnlySpan<byte> bytes, string? name = null)
        {
            while (!bytes.IsEmpty)
            {
                var count = (int)Check.Result(FileCalls.Write(descriptor.Value, bytes), $"write {name ?? descriptor.ToString()}");
                bytes = bytes[count..];
            }
        }

        /// <summary>Writes all bytes at an offset of the file, continuing after short writes.</summary>
        public void WriteAllAt(ReadOnlySpan<byte> bytes, long offset, string? name = null)
        {
            while (!bytes.IsEmpty)
            {
                var count = (int)Check.Result(FileCalls.WriteAt(descriptor.Value, bytes, offset), $"write {name ?? descriptor.ToString()}");
                offset += count;
                bytes = bytes[count..];
            }
        }

        /// <summary>Type, mode, owner, device and mount of what the descriptor refers to; O_PATH will do.</summary>
        public FileStatus Stat() => new(MetadataCalls.Stat(descriptor));

        /// <summary>The magic number of the file system, one of <see cref="Magic"/>.</summary>
        public long FileSystemType()
        {
            Check.Result(MetadataCalls.FstatFs(descriptor.Value, out var result), $"examine the file system of {descriptor}");
            return result.f_type;
        }
    }
}
