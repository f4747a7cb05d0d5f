namespace Hull.Linux.Seccomp;

/// <summary>Compiles policies with libseccomp, which is loaded at the first use only.</summary>
public static class SeccompFilter
{
    /// <summary>
    /// The program of a policy, from the cache directory (made 0700 if missing) when the same policy was compiled before.
    /// </summary>
    /// <exception cref="Hull.Core.HullException">InvalidArgument for a policy that contradicts itself, Unsupported without libseccomp.</exception>
    public static SeccompProgram Get(SeccompPolicy policy, string? cacheDirectory) => throw new NotImplementedException();
}
