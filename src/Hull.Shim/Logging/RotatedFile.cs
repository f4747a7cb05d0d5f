using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Shim.Logging;

/// <summary>
/// A file that is set aside when it has grown: <c>log</c> becomes <c>log.1</c>, <c>log.1</c> becomes <c>log.2</c>, and
/// the oldest goes. A full disk never stops the process: what could not be written is counted, and said in the log as
/// soon as there is room again.
/// </summary>
internal sealed class RotatedFile : IDisposable
{
    private readonly string _path;
    private readonly long _maxSize;
    private readonly int _maxFiles;
    private SafeFd _file;
    private long _size;

    public RotatedFile(string path, long maxSize, int maxFiles)
    {
        (_path, _maxSize, _maxFiles) = (path, maxSize, Math.Max(1, maxFiles));
        _file = OpenCurrent();
    }

    /// <summary>Bytes that a full disk kept from being written since the last success.</summary>
    public long LostBytes { get; private set; }

    /// <summary>Appends whole entries. False when they were lost.</summary>
    public bool Append(ReadOnlySpan<byte> entries)
    {
        if (_maxSize > 0 && _size > 0 && _size + entries.Length > _maxSize) Rotate();
        var start = _size;
        while (!entries.IsEmpty)
        {
            var written = FileCalls.Write(_file.Value, entries);
            if (written < 0)
            {
                // Half an entry would spoil the rest of the file for its readers.
                if (FileCalls.Truncate(_file.Value, start) >= 0) _size = start;
                LostBytes += entries.Length;
                return false;
            }

            entries = entries[(int)written..];
            _size += written;
        }

        return true;
    }

    public void ForgetLoss() => LostBytes = 0;

    public void Dispose() => _file.Dispose();

    private void Rotate()
    {
        // A file that cannot be renamed is written on: too long a log is better than none.
        if (_maxFiles == 1)
        {
            if (FileCalls.Truncate(_file.Value, 0) >= 0) _size = 0;
            return;
        }

        for (var i = _maxFiles - 1; i > 1; i--) _ = FileCalls.RenameAt2(AT_FDCWD, $"{_path}.{i - 1}", AT_FDCWD, $"{_path}.{i}");
        _ = FileCalls.RenameAt2(AT_FDCWD, _path, AT_FDCWD, _path + ".1");
        try
        {
            var next = OpenCurrent();
            _file.Dispose();
            _file = next;
        }
        catch (HullException)
        {
            // No room for a new file: go on in the old one under its new name.
        }
    }

    private SafeFd OpenCurrent()
    {
        var file = Check.Descriptor(
            FileCalls.OpenAt(AT_FDCWD, _path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0x1A0 /* 0640 */), $"open log {_path}");
        _size = Math.Max(0, FileCalls.Seek(file.Value, 0, 2));
        return file;
    }
}
