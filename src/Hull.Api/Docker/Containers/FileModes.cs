namespace Hull.Api.Docker.Containers;

/// <summary>Converts st_mode of inode(7) to Go's os.FileMode, which the path-stat header carries.</summary>
internal static class FileModes
{
    private const uint TypeMask = 0xF000;

    public static uint ToGo(uint mode)
    {
        var result = mode & 0x1FF;
        result |= (mode & TypeMask) switch
        {
            0x4000 => 1u << 31,             // directory
            0xA000 => 1u << 27,             // symbolic link
            0x6000 => 1u << 26,             // block device
            0x2000 => (1u << 26) | (1u << 21), // character device
            0x1000 => 1u << 25,             // fifo
            0xC000 => 1u << 24,             // socket
            _ => 0,
        };
        if ((mode & 0x800) != 0) result |= 1u << 23; // setuid
        if ((mode & 0x400) != 0) result |= 1u << 22; // setgid
        if ((mode & 0x200) != 0) result |= 1u << 20; // sticky
        return result;
    }
}
