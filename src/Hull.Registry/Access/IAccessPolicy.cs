using Hull.Registry.Http;

namespace Hull.Registry.Access;

/// <summary>What a request wants to do with a repository.</summary>
public enum RegistryAction
{
    /// <summary>The version check at <c>/v2/</c>: any valid login will do.</summary>
    Enter,
    Pull,
    Push,
    Delete,

    /// <summary>The list of all repositories.</summary>
    Catalog,
}

/// <summary>Decides who may do what. Null means yes; else the answer that refuses or asks for credentials.</summary>
public interface IAccessPolicy
{
    HttpResponse? Check(HttpRequest request, RegistryAction action, string repository);
}

/// <summary>Everybody may do everything.</summary>
public sealed class OpenAccess : IAccessPolicy
{
    public HttpResponse? Check(HttpRequest request, RegistryAction action, string repository) => null;
}
