using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Hull.EngineClients.Tests;

/// <summary>An authority with certificates for a server at 127.0.0.1 and for one client, as files under Docker's names.</summary>
internal static class Certificates
{
    public static void Write(string directory)
    {
        Directory.CreateDirectory(directory);
        using var authorityKey = RSA.Create(2048);
        var request = Request("authority", authorityKey);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        using var authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(2));
        File.WriteAllText(Path.Combine(directory, "ca.pem"), authority.ExportCertificatePem());
        Issue(authority, directory, "server-", "1.3.6.1.5.5.7.3.1");
        Issue(authority, directory, "", "1.3.6.1.5.5.7.3.2");
    }

    private static void Issue(X509Certificate2 authority, string directory, string prefix, string purpose)
    {
        using var key = RSA.Create(2048);
        var request = Request("a " + prefix + "peer", key);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], false));
        using var certificate = request.Create(authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Path.Combine(directory, prefix + "cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(directory, prefix + "key.pem"), key.ExportPkcs8PrivateKeyPem());
    }

    private static CertificateRequest Request(string name, RSA key) => new("CN=" + name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
}
