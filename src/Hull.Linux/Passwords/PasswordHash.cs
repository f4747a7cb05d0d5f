using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Hull.Linux.Passwords;

/// <summary>Checks passwords against the hashes of crypt(5), such as bcrypt's <c>$2y$</c>, with the system's libcrypt.</summary>
public static unsafe partial class PasswordHash
{
    /// <summary>sizeof(struct crypt_data) of libxcrypt, kept by its ABI (crypt.h).</summary>
    private const int CryptDataSize = 32768;

    /// <summary>bcrypt looks at no more than 72 bytes; anything near this is no password.</summary>
    private const int MaximumPassword = 512;

    /// <summary>Whether the password is the one the hash was made of. Compares in constant time.</summary>
    public static bool Matches(string password, string hash)
    {
        var phrase = Encoding.UTF8.GetBytes(password + "\0");
        if (phrase.Length > MaximumPassword || phrase.AsSpan().IndexOf((byte)0) != phrase.Length - 1) return false;
        var setting = Encoding.ASCII.GetBytes(hash + "\0");
        var data = NativeMemory.AllocZeroed(CryptDataSize);
        try
        {
            fixed (byte* phrasePointer = phrase, settingPointer = setting)
            {
                // SAFETY: both texts end in a zero byte and outlive the call; data has the size the library expects and
                // the result points into it or is null.
                var result = CryptR(phrasePointer, settingPointer, data);
                if (result is null) return false;
                var answer = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(result);
                // A failure is told by a text that begins with '*', which no hash does.
                return answer.Length > 1 && answer[0] != '*' && CryptographicOperations.FixedTimeEquals(answer, setting.AsSpan(0, setting.Length - 1));
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(new Span<byte>(data, CryptDataSize));
            CryptographicOperations.ZeroMemory(phrase);
            NativeMemory.Free(data);
        }
    }

    [LibraryImport("libcrypt.so.1", EntryPoint = "crypt_r")]
    private static partial byte* CryptR(byte* phrase, byte* setting, void* data);
}
